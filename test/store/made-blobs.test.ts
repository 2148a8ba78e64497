import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { digestOf, hexOf } from '../../src/oci/index.ts';
import { DiskContentStore } from '../../src/store/blobs.ts';
import { buildThread } from '../layers/support.ts';
import { tempDir } from '../support/temp-dir.ts';

const MIB = 1024 * 1024;

beforeAll(() => buildThread('blob-worker', 'src/store/blob-worker.ts'));

function open() {
  const root = tempDir();
  const directories = { blobs: join(root, 'blobs'), ingest: join(root, 'ingest') };
  for (const directory of Object.values(directories)) mkdirSync(directory);
  const store = new DiskContentStore(directories);
  return { ...directories, store, file: (bytes: Uint8Array) => join(directories.blobs, hexOf(digestOf(bytes))) };
}

/** Bytes that differ from MiB to MiB, some of them zeros. */
function bytesOf(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += MIB) if ((at / MIB) % 5 !== 3) bytes.fill(`${at} `, at, Math.min(at + MIB, size));
  return bytes;
}

/** As a COPY gives them: chunks that are given away and filled again. */
function made(bytes: Buffer, failAt = Number.POSITIVE_INFINITY) {
  const spare: ArrayBufferLike[] = [];
  let fresh = 0;
  const newBuffer = (): ArrayBuffer => {
    fresh++;
    return new ArrayBuffer(MIB);
  };
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += MIB) {
      if (at >= failAt) throw new Error('the disk fell down');
      const buffer = spare.pop() ?? newBuffer();
      const chunk = new Uint8Array(buffer, 0, Math.min(MIB, bytes.length - at));
      chunk.set(bytes.subarray(at, at + MIB));
      yield chunk;
    }
  }
  return {
    stream: chunks(),
    onFree: ({ buffer }: Uint8Array): void => void spare.push(buffer),
    /** Chunks that were not ones that came back. */
    fresh: () => fresh,
  };
}

const SIZES = [0, 1, MIB, 4 * MIB, 4 * MIB + 1, 40 * MIB + 512];

describe('bytes that are made here', () => {
  it.each(SIZES)('are kept, hashed beside their making: %d bytes', async (size) => {
    const { store, file, ingest } = open();
    const bytes = bytesOf(size);
    const { stream, onFree, fresh } = made(bytes);
    expect(await store.ingestMade(stream, { onFree })).toEqual({ digest: digestOf(bytes), size });
    expect(readFileSync(file(bytes)).equals(bytes)).toBe(true);
    expect(statSync(file(bytes)).mode & 0o777).toBe(0o444);
    expect(fresh()).toBeLessThanOrEqual(16);
    expect(readdirSync(ingest)).toEqual([]);
  });

  it.each(SIZES)('are not written again where they are there: %d bytes', async (size) => {
    const { store, file } = open();
    const bytes = bytesOf(size);
    await store.ingestMade(made(bytes).stream);
    const before = statSync(file(bytes));
    const { stream, onFree, fresh } = made(bytes);
    expect(await store.ingestMade(stream, { onFree, likely: digestOf(bytes) })).toEqual({
      digest: digestOf(bytes),
      size,
    });
    expect(statSync(file(bytes)).ino).toBe(before.ino);
    expect(fresh()).toBeLessThanOrEqual(1);
  });

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ['the first byte', (bytes) => Buffer.concat([Buffer.from('x'), bytes.subarray(1)])],
    [
      'a byte',
      (bytes) => Buffer.concat([bytes.subarray(0, 9 * MIB + 7), Buffer.from('x'), bytes.subarray(9 * MIB + 8)]),
    ],
    ['the last byte', (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from('x')])],
    ['more bytes at the end', (bytes) => Buffer.concat([bytes, Buffer.from('x')])],
    ['fewer bytes', (bytes) => bytes.subarray(0, -1)],
    ['fewer chunks', (bytes) => bytes.subarray(0, 3 * MIB)],
    ['nothing', () => Buffer.alloc(0)],
  ])('are kept where they differ from what is likely: %s', async (_what, change) => {
    const { store, file } = open();
    const likely = bytesOf(12 * MIB + 100);
    const bytes = change(likely);
    await store.ingestMade(made(likely).stream);
    const { stream, onFree } = made(bytes);
    const ingested = await store.ingestMade(stream, { onFree, likely: digestOf(likely) });
    expect(ingested).toEqual({ digest: digestOf(bytes), size: bytes.length });
    expect(readFileSync(file(bytes)).equals(bytes)).toBe(true);
    expect(readFileSync(file(likely)).equals(likely)).toBe(true);
  });

  it('are kept where what is likely is damaged, or gone', async () => {
    const { store, file } = open();
    const bytes = bytesOf(6 * MIB);
    const likely = digestOf(bytes);
    await store.ingestMade(made(bytes).stream, { likely });
    await store.delete(likely);
    writeFileSync(file(bytes), bytes.subarray(0, 5 * MIB));
    await store.ingestMade(made(bytes).stream, { likely });
    expect(readFileSync(file(bytes)).equals(bytes)).toBe(true);
  });

  it.each([2 * MIB, 30 * MIB])('leave nothing behind where their making fails after %d bytes', async (failAt) => {
    const { store, ingest, blobs } = open();
    const { stream, onFree } = made(bytesOf(40 * MIB), failAt);
    await expect(store.ingestMade(stream, { onFree })).rejects.toThrow('the disk fell down');
    expect([...readdirSync(ingest), ...readdirSync(blobs)]).toEqual([]);
  });

  it('say that they cannot be written as others do', async () => {
    const directory = tempDir();
    writeFileSync(join(directory, 'blobs'), '');
    const store = new DiskContentStore({ blobs: join(directory, 'blobs', 'x'), ingest: join(directory, 'ingest') });
    const { stream, onFree } = made(bytesOf(12 * MIB));
    await expect(store.ingestMade(stream, { onFree })).rejects.toMatchObject({ code: 'E_STORE' });
  });
});
