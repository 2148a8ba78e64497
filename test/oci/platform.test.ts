import { describe, expect, it } from 'vitest';
import { choosePlatform, formatPlatform, hostPlatform, parsePlatform } from '../../src/oci/index.ts';

describe('a platform', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['linux/x86_64', 'linux/amd64'],
    ['Linux/AMD64', 'linux/amd64'],
    ['arm64', 'linux/arm64'],
    ['aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/6', 'linux/arm/v6'],
    ['armhf', 'linux/arm/v7'],
    ['linux/amd64/v1', 'linux/amd64'],
    ['linux/amd64/v3', 'linux/amd64/v3'],
    ['windows', `windows/${hostPlatform().architecture}`],
    ['s390x', 'linux/s390x'],
  ])('"%s" is %s', (text, full) => {
    expect(formatPlatform(parsePlatform(text))).toBe(full);
  });

  it.each(['', '/', 'linux/', 'a/b/c/d', 'linux/am d64', 'linux//v7'])('"%s" is refused', (text) => {
    expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: 'E_BAD_PLATFORM' }));
  });
});

describe('choosing from an index', () => {
  const entry = (text: string) => ({ name: text, platform: parsePlatform(text) });
  const choose = (wanted: string, ...there: string[]): string | undefined =>
    choosePlatform(there.map(entry), parsePlatform(wanted))?.name;

  it('prefers the same variant, then the next lower one', () => {
    expect(choose('linux/arm/v7', 'linux/arm/v5', 'linux/arm/v6', 'linux/arm/v7')).toBe('linux/arm/v7');
    expect(choose('linux/arm/v7', 'linux/arm/v5', 'linux/arm/v6')).toBe('linux/arm/v6');
    expect(choose('linux/arm/v6', 'linux/arm/v7')).toBeUndefined();
    expect(choose('linux/amd64/v3', 'linux/amd64')).toBe('linux/amd64');
    expect(choose('linux/amd64', 'linux/amd64/v3')).toBeUndefined();
  });

  it('finds arm64 with and without its only variant', () => {
    const entries = [{ platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }];
    expect(choosePlatform(entries, parsePlatform('arm64'))).toBe(entries[0]);
  });

  it('passes over attestations and entries without a platform', () => {
    const entries = [{}, { platform: { os: 'unknown', architecture: 'unknown' } }];
    expect(choosePlatform(entries, parsePlatform('linux/amd64'))).toBeUndefined();
  });
});
