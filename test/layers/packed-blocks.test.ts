import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { gzip } from '../../src/layers/compression-gzip.ts';
import { zstd } from '../../src/layers/compression-zstd.ts';
import { packInOrder } from '../../src/layers/pack-in-order.ts';
import { PackedBlocks } from '../../src/layers/packed-blocks.ts';
import { type ByteStream, type Digest, digestOf, hexOf } from '../../src/oci/index.ts';
import { collect, scratch, streamOf } from './support.ts';

const home = scratch();
afterAll(home.remove);

type Compress = (bytes: ByteStream, packing: ReturnType<PackedBlocks['begin']>) => ByteStream;

/** A state directory whose blobs are files. */
async function state() {
  const root = await mkdtemp(join(home.path, 'state-'));
  const pathOf = (blob: Digest): string => join(root, hexOf(blob));
  const fileOf = async (blob: Digest) => (existsSync(pathOf(blob)) ? pathOf(blob) : undefined);
  return {
    table: join(root, 'packed-blocks', 'table'),
    pathOf,
    /** As another process: knows what lies on the disk. */
    async compress(tar: Buffer, compress: Compress): Promise<Buffer> {
      await using packing = new PackedBlocks(root, { fileOf }).begin();
      const blob = Buffer.from(await collect(compress(streamOf(tar), packing)));
      writeFileSync(pathOf(digestOf(blob)), blob);
      packing.keep(digestOf(blob));
      return blob;
    },
  };
}

/** Blocks of 10 bytes; tells which ones had to be packed. */
function reversing() {
  const packed: string[] = [];
  async function* jobs(tar: ByteStream) {
    const text = Buffer.from(await collect(tar)).toString();
    for (const block of text.match(/.{10}/g) ?? []) {
      yield {
        inputs: [block],
        pack: async () => {
          packed.push(block);
          return Buffer.from([...block].reverse().join(''));
        },
      };
    }
  }
  const compress: Compress = (bytes, packing) => packInOrder(jobs(bytes), { packing, concurrency: 2 });
  return { packed, compress };
}

/** The row keeps its key and blob. */
const hugeSize = (byte: number, at: number): number => (at % 80 >= 72 && at % 80 < 76 ? 0xff : byte);

const ONE = Buffer.from('aaaaaaaaa1bbbbbbbbb2ccccccccc3');
const OTHER = Buffer.from('ccccccccc3xxxxxxxxx4aaaaaaaaa1');

describe('compressed blocks', () => {
  it('are found in the blobs of before, in another order and by another process', async () => {
    const { compress } = await state();
    expect((await compress(ONE, reversing().compress)).toString()).toBe('1aaaaaaaaa2bbbbbbbbb3ccccccccc');
    const again = reversing();
    expect((await compress(OTHER, again.compress)).toString()).toBe('3ccccccccc4xxxxxxxxx1aaaaaaaaa');
    expect(again.packed).toEqual(['xxxxxxxxx4']);
  });

  it.each<[string, (state: { readonly table: string; readonly blob: string }) => void]>([
    ['the blob is gone', ({ blob }) => rmSync(blob)],
    ['the blob is damaged', ({ blob }) => writeFileSync(blob, readFileSync(blob).fill(7))],
    ['the blob is cut off', ({ blob }) => writeFileSync(blob, '1')],
    ['the table is gone', ({ table }) => rmSync(table)],
    ['the table is damaged', ({ table }) => writeFileSync(table, readFileSync(table).fill(7))],
    ['the table has sizes that cannot be', ({ table }) => writeFileSync(table, readFileSync(table).map(hugeSize))],
    ['the table is cut off', ({ table }) => writeFileSync(table, readFileSync(table).subarray(0, 33))],
  ])('are made again where %s', async (_, damage) => {
    const { compress, table, pathOf } = await state();
    const blob = await compress(ONE, reversing().compress);
    damage({ table, blob: pathOf(digestOf(blob)) });
    const again = reversing();
    expect((await compress(OTHER, again.compress)).toString()).toBe('3ccccccccc4xxxxxxxxx1aaaaaaaaa');
    expect(again.packed.sort()).toEqual(['aaaaaaaaa1', 'ccccccccc3', 'xxxxxxxxx4']);
    const third = reversing();
    await compress(OTHER, third.compress);
    expect(third.packed).toEqual([]);
  });

  it('cost no build anything where the table cannot be written', async () => {
    const { compress, table } = await state();
    await mkdir(table, { recursive: true });
    expect((await compress(ONE, reversing().compress)).length).toBe(30);
  });
});

/** Of members that compress, some of them in each block alike. */
function tarLike(seed: string, members: number): Buffer {
  const member = (n: number) => {
    const name = createHash('sha256').update(`${seed} ${n}`).digest('hex');
    return Buffer.alloc(16_384, `${name} says the same again and again; `);
  };
  return Buffer.concat(Array.from({ length: members }, (_, n) => member(n)));
}

describe.each<[string, Compress]>([
  ['gzip', (bytes, packing) => gzip(bytes, { packing })],
  ['zstd', (bytes, packing) => zstd(bytes, { packing })],
])('%s', (_, compress) => {
  it('gives the same bytes from blocks of before as without', async () => {
    const before = tarLike('a', 1500);
    const edits = [
      before,
      Buffer.concat([before.subarray(0, 9_000_448), Buffer.alloc(1024, 'new'), before.subarray(9_000_448)]),
      Buffer.concat([before.subarray(0, 512), before.subarray(4096)]),
      Buffer.concat([before, tarLike('b', 100)]),
      before.subarray(0, 12_000_256),
    ];
    const one = await state();
    for (const tar of edits) {
      const withMemory = await one.compress(tar, compress);
      const without = await (await state()).compress(tar, compress);
      expect(withMemory.equals(without)).toBe(true);
    }
  });
});
