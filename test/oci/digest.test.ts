import { describe, expect, it } from 'vitest';
import { chainIdOf, digestOf, hexOf, isDigest, parseDiffId, parseDigest } from '../../src/oci/index.ts';

const EMPTY = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

describe('a digest', () => {
  it('is the sha256 of the bytes', () => {
    expect(digestOf('')).toBe(EMPTY);
    expect(hexOf(digestOf(''))).toBe(EMPTY.slice(7));
  });

  it.each(['', 'sha256:', EMPTY.toUpperCase(), `${EMPTY}0`, `${EMPTY}\n`, EMPTY.slice(7), `sha512:${'a'.repeat(128)}`])(
    '%j is refused',
    (text) => {
      expect(isDigest(text)).toBe(false);
      expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'E_BAD_REFERENCE' }));
    },
  );
});

describe('a chain ID', () => {
  // OCI image-spec config.md: ChainID(L0) = DiffID(L0); ChainID(L0|..|Ln) = sha256(ChainID(L0|..|Ln-1) + " " + DiffID(Ln)).
  it('of one layer is its diffID, of more the hash of both', () => {
    const [a, b] = [parseDiffId(digestOf('a')), parseDiffId(digestOf('b'))];
    expect(chainIdOf([])).toBeUndefined();
    expect(chainIdOf([a])).toBe(a);
    expect(chainIdOf([a, b])).toBe(digestOf(`${a} ${b}`));
    expect(chainIdOf([a, b, a])).toBe(digestOf(`${chainIdOf([a, b])} ${a}`));
  });
});
