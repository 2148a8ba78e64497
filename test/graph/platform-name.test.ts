import { describe, expect, test } from 'vitest';
import { parseMeantPlatform } from '../../src/graph/index.ts';

describe('a platform', () => {
  test.each([
    ['linux/amd46', 'linux/amd64'],
    ['linux/arm46', 'linux/arm64'],
    ['linx/s390x', 'linux/s390x'],
    ['ppc64lee', 'linux/ppc64le'],
  ])('called %s is a slip for %s', (text, meant) => {
    expect(() => parseMeantPlatform(text)).toThrow(
      expect.objectContaining({ code: 'E_BAD_PLATFORM', hint: `Did you mean "${meant}"?` }),
    );
  });

  test.each(['linux/amd64', 'linux/arm/v7', 'aarch64', 'windows/arm', 'plan9/sparc'])('may be %s', (text) => {
    expect(parseMeantPlatform(text).os).toMatch(/linux|windows|plan9/);
  });
});
