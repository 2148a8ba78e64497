import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { blocksOf } from '../../src/layers/blocks.ts';
import { chunked } from './tar/archives.ts';

const SIZES = { least: 4096, most: 16_384, oneRecordIn: 8 };

const noise = (size: number, seed: string): Buffer =>
  createHash('shake256', { outputLength: Math.max(1, size) })
    .update(seed)
    .digest()
    .subarray(0, size);

async function cut(data: Buffer, chunk?: number): Promise<Buffer[]> {
  const blocks: Buffer[] = [];
  const ends: boolean[] = [];
  for await (const { block, isLast } of blocksOf(chunked(data, chunk), SIZES)) {
    blocks.push(Buffer.from(block));
    ends.push(isLast);
  }
  expect(ends.indexOf(true)).toBe(ends.length - 1);
  return blocks;
}

it('gives all bytes in blocks of the same borders for any chunking', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(100_000), fc.integer({ min: 50, max: 5000 }), fc.string(), async (size, chunk, seed) => {
      const data = noise(size, seed);
      const blocks = await cut(data, chunk);
      expect(Buffer.concat(blocks).equals(data)).toBe(true);
      expect(blocks).toEqual(await cut(data));
      for (const block of blocks.slice(0, -1)) {
        expect(block.length).toBeGreaterThanOrEqual(SIZES.least);
        expect(block.length).toBeLessThanOrEqual(SIZES.most);
        expect(block.length % 512).toBe(0);
      }
    }),
    { numRuns: 40 },
  );
});

it('finds its borders again after records were put in, taken out and changed', async () => {
  const before = noise(2 * 1024 * 1024, 'tar');
  const known = new Set((await cut(before)).map((block) => block.toString('latin1')));
  const half = before.length / 2;
  const edits = {
    'put in': [before.subarray(0, half), noise(1536, 'new'), before.subarray(half)],
    'taken out': [before.subarray(0, half), before.subarray(half + 512)],
    changed: [before.subarray(0, half), noise(512, 'new'), before.subarray(half + 512)],
  };
  for (const parts of Object.values(edits)) {
    const fresh = (await cut(Buffer.concat(parts))).filter((block) => !known.has(block.toString('latin1')));
    expect(fresh.length).toBeLessThanOrEqual(4);
  }
});

it('cuts at the most where nothing is like a border', async () => {
  const zeros = await cut(Buffer.alloc(100_000));
  expect(zeros.map(({ length }) => length)).toEqual([16_384, 16_384, 16_384, 16_384, 16_384, 16_384, 1696]);
});
