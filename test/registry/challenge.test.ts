import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseChallenges } from '../../src/registry/challenge.ts';

describe('WWW-Authenticate', () => {
  it('reads a bearer challenge with commas in a quoted value', () => {
    expect(parseChallenges('Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"')).toEqual([
      { scheme: 'bearer', parameters: { realm: 'https://a/t', service: 's', scope: 'repository:x:pull,push' } },
    ]);
  });

  it('reads several challenges in one header and in several', () => {
    const both = [
      { scheme: 'basic', parameters: { realm: 'r' } },
      { scheme: 'bearer', parameters: { realm: 'https://a' } },
    ];
    expect(parseChallenges('Basic realm="r", Bearer realm="https://a"')).toEqual(both);
    expect(parseChallenges(['Basic realm=r', 'BEARER Realm = "https://a"'])).toEqual(both);
  });

  it('unescapes quoted pairs, and keeps the first of two equal parameters', () => {
    expect(parseChallenges('Basic realm="a\\"b", realm="evil"')[0]?.parameters).toEqual({ realm: 'a"b' });
  });

  it('passes over token68 and schemes without parameters', () => {
    expect(parseChallenges('Negotiate, NTLM abc==, Basic realm="r"').map(({ scheme }) => scheme)).toContain('basic');
  });

  it.each(['', ',,,', 'Bearer realm="unterminated', '"', 'realm="x"', '=', 'Bearer =,=', '\0\u{1f600}'])(
    'survives %j',
    (header) => {
      expect(Array.isArray(parseChallenges(header))).toBe(true);
    },
  );

  it('never throws and ends, whatever comes', () => {
    const alphabet = fc.constantFrom('Bearer', 'Basic', ' ', ',', '=', '"', '\\', 'realm', 'a', '\t', 'é');
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(alphabet).map((parts) => parts.join('')),
        ),
        (header) => {
          for (const { scheme } of parseChallenges(header)) expect(scheme).toBe(scheme.toLowerCase());
        },
      ),
    );
  });

  it('cannot be used to set __proto__', () => {
    const [challenge] = parseChallenges('Bearer __proto__="x", constructor="y", realm="z"');
    expect(Object.getPrototypeOf(challenge?.parameters)).toBe(Object.prototype);
    expect(challenge?.parameters.realm).toBe('z');
  });

  it('reads a megabyte of commas quickly', () => {
    expect(parseChallenges(','.repeat(1_000_000))).toEqual([]);
  });
});
