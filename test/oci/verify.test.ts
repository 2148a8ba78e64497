import { describe, expect, it } from 'vitest';
import { type ByteStream, digestOf, parseDiffId, readAll, verify, verifyDiffId } from '../../src/oci/index.ts';

async function* stream(...parts: string[]): ByteStream {
  for (const part of parts) yield Buffer.from(part);
}
const expected = { digest: digestOf('hello'), size: 5 };

describe('verifying a stream', () => {
  it('passes the right bytes on', async () => {
    expect(Buffer.from(await readAll(verify(stream('he', '', 'llo'), expected), 10)).toString()).toBe('hello');
  });

  it.each([
    ['other bytes', ['jello'], 'E_DIGEST_MISMATCH'],
    ['too few', ['hell'], 'E_SIZE_MISMATCH'],
    ['too many', ['hello', '!'], 'E_SIZE_MISMATCH'],
    ['none', [], 'E_SIZE_MISMATCH'],
  ])('fails on %s', async (_name, parts, code) => {
    await expect(readAll(verify(stream(...parts), expected), 100)).rejects.toMatchObject({ code });
  });

  it('stops reading at the first byte too many', async () => {
    let given = 0;
    async function* endless(): ByteStream {
      for (;;) {
        given++;
        yield Buffer.from('xxx');
      }
    }
    await expect(readAll(verify(endless(), expected), 100)).rejects.toMatchObject({ code: 'E_SIZE_MISMATCH' });
    expect(given).toBe(2);
  });

  it('compares a tar with its diffID', async () => {
    const diffId = parseDiffId(expected.digest);
    await readAll(verifyDiffId(stream('hello'), diffId), 10);
    await expect(readAll(verifyDiffId(stream('hellx'), diffId), 10)).rejects.toMatchObject({
      code: 'E_DIGEST_MISMATCH',
    });
  });

  it('does not read more into memory than the limit', async () => {
    await expect(readAll(stream('abc', 'def'), 5)).rejects.toMatchObject({ code: 'E_SIZE_MISMATCH' });
  });
});
