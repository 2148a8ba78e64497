import { describe, expect, it } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { isTransientStatus, parseRetryAfter, retryDelay } from '../../src/http/retry.ts';
import { resolveLocation } from '../../src/http/transport.ts';
import { fakeClock } from '../support/registry-images.ts';

describe('trying again', () => {
  it('waits longer each time, five tries and less than a minute in all', () => {
    const waits = [1, 2, 3, 4, 5].map((tries) => retryDelay({ tries }, fakeClock()));
    expect(waits.at(-1)).toBeUndefined();
    const given = waits.filter((ms) => ms !== undefined);
    expect(given).toEqual(given.toSorted((a, b) => a - b));
    expect(given.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(60_000);
  });

  it('is jittered', () => {
    const clock = { ...fakeClock(), random: () => 0 };
    expect(retryDelay({ tries: 1 }, clock)).toBe(500);
  });

  it('gives up sooner on a port where nobody listens', () => {
    const error = new BuildError('E_UNAVAILABLE', 'x', { fields: { reason: 'ECONNREFUSED' } });
    expect(retryDelay({ tries: 3, error }, fakeClock())).toBeUndefined();
  });

  it('honours Retry-After in seconds and as a date, and ignores nonsense', () => {
    const now = Date.UTC(2026, 0, 1);
    expect(parseRetryAfter('5', now)).toBe(5000);
    expect(parseRetryAfter('Thu, 01 Jan 2026 00:00:30 GMT', now)).toBe(30_000);
    expect(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now)).toBe(0);
    expect(parseRetryAfter('soon', now)).toBeUndefined();
  });

  it.each([408, 429, 500, 502, 503, 504])('repeats after %s', (status) => {
    expect(isTransientStatus(status)).toBe(true);
  });

  it.each([200, 400, 401, 403, 404, 501])('does not repeat after %s', (status) => {
    expect(isTransientStatus(status)).toBe(false);
  });
});

describe('a Location', () => {
  const base = new URL('https://r.example/v2/a/blobs/uploads/');
  it('may be relative, and keeps https where the registry thinks that it is http', () => {
    expect(resolveLocation('x?a=%2B', base).href).toBe('https://r.example/v2/a/blobs/uploads/x?a=%2B');
    expect(resolveLocation('http://r.example/x', base).href).toBe('https://r.example/x');
    expect(resolveLocation('http://u:p@other.example/x', base).href).toBe('http://other.example/x');
  });

  it.each(['file:///etc/passwd', 'http://', 'javascript:1'])('is refused as "%s"', (location) => {
    expect(() => resolveLocation(location, base)).toThrow(BuildError);
  });
});
