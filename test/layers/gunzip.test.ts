import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decompress, decompressHere } from '../../src/layers/compression.ts';
import { gunzipHere } from '../../src/layers/gunzip.ts';
import type { ByteStream } from '../../src/oci/index.ts';
import { chunked } from './tar/archives.ts';

/** All bytes, or how it failed. Pieces are copied: they are good until the next one. */
async function outcome(bytes: ByteStream): Promise<string> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of bytes) pieces.push(Buffer.from(piece));
  } catch (error) {
    return String(error);
  }
  return Buffer.concat(pieces).toString('base64');
}

const member = fc
  .record({ text: fc.string({ maxLength: 50 }), times: fc.nat(20_000), level: fc.integer({ min: 0, max: 9 }) })
  .map(({ text, times, level }) => gzipSync(text.repeat(times), { level }));
const tail = fc.oneof(fc.constant(Buffer.alloc(0)), fc.constant(Buffer.alloc(700)), fc.uint8Array({ maxLength: 30 }));

describe('gunzip in the calling thread', () => {
  it('works with this version of Node', () => {
    expect(gunzipHere(chunked(Buffer.alloc(0)))).toBeDefined();
  });

  it('gives what the thread pool gives, of members, padding, and what is cut off or damaged', async () => {
    const input = fc.record({
      members: fc.array(member, { minLength: 1, maxLength: 3 }),
      tail,
      cut: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      damage: fc.option(fc.nat()),
      chunk: fc.integer({ min: 1, max: 5000 }),
    });
    await fc.assert(
      fc.asyncProperty(input, async ({ members, tail, cut, damage, chunk }) => {
        const whole = Buffer.concat([...members, tail]);
        const bytes = whole.subarray(0, cut === null ? whole.length : Math.floor(whole.length * cut));
        if (damage !== null && bytes.length > 0) bytes.fill(0x55, damage % bytes.length, (damage % bytes.length) + 1);
        const expected = await outcome(decompress(chunked(bytes, chunk), 'gzip'));
        expect(await outcome(decompressHere(chunked(bytes, chunk), 'gzip'))).toBe(expected);
      }),
    );
  });

  it('gives pieces of bounded size, however much a chunk becomes', async () => {
    let [most, all] = [0, 0];
    for await (const piece of decompressHere(chunked(gzipSync(Buffer.alloc(64 * 1024 * 1024))), 'gzip')) {
      most = Math.max(most, piece.byteLength);
      all += piece.byteLength;
    }
    expect([most, all]).toEqual([256 * 1024, 64 * 1024 * 1024]);
  });
});
