import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { hexOf } from '../../src/oci/index.ts';
import { DiskContentStore } from '../../src/store/blobs.ts';
import { tempDir } from '../support/temp-dir.ts';

const MIB = 1024 * 1024;
const zeros = () => Buffer.alloc(MIB);

async function ingested(chunks: readonly Uint8Array[]) {
  const root = tempDir();
  const store = new DiskContentStore({ blobs: join(root, 'blobs'), ingest: join(root, 'ingest') });
  const { digest, size } = await store.ingest(
    (async function* () {
      yield* chunks;
    })(),
  );
  const file = join(root, 'blobs', hexOf(digest));
  return { bytes: readFileSync(file), size, taken: statSync(file).blocks * 512 };
}

it.each<[string, Uint8Array[]]>([
  ['in the middle', [Buffer.from('a'), ...Array.from({ length: 8 }, zeros), Buffer.from('b')]],
  ['at the end', [Buffer.from('a'), ...Array.from({ length: 8 }, zeros)]],
  ['and nothing else', Array.from({ length: 8 }, zeros)],
])('long runs of zeros %s take no space in a blob, and read as zeros', async (_where, chunks) => {
  const { bytes, size, taken } = await ingested(chunks);
  expect(bytes.equals(Buffer.concat(chunks))).toBe(true);
  expect(size).toBe(bytes.byteLength);
  expect(taken).toBeLessThan(MIB);
});

it('short zeros, and chunks that are zeros but for the last byte, are written', async () => {
  const almost = zeros();
  almost[MIB - 1] = 1;
  const chunks = [Buffer.alloc(10), almost, Buffer.alloc(3)];
  const { bytes } = await ingested(chunks);
  expect(bytes.equals(Buffer.concat(chunks))).toBe(true);
});
