import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type ByteStream, digestOf } from '../../src/oci/index.ts';
import { RemoteBlobs } from '../../src/store/remote-blobs.ts';

const homes: string[] = [];
afterEach(() => {
  for (const home of homes.splice(0)) rmSync(home, { recursive: true });
});

const content = Buffer.alloc(3_000_000, 'a layer');
const descriptor = {
  mediaType: 'application/vnd.oci.image.layer.v1.tar',
  digest: digestOf(content),
  size: content.length,
};

type Fetch = (repository: string) => ByteStream;

async function storeWith(fetch: Fetch, repositories: readonly string[] = ['one']): Promise<RemoteBlobs> {
  const home = mkdtempSync(join(tmpdir(), 'tsbuild-coming-'));
  homes.push(home);
  const blobs = new RemoteBlobs({
    blobs: join(home, 'blobs'),
    ingest: join(home, 'ingest'),
    origins: join(home, 'origins'),
    fetchBlob: (_, { repository }) => fetch(repository),
  });
  for (const directory of ['ingest', 'origins']) mkdirSync(join(home, directory));
  for (const repository of [...repositories].reverse())
    await blobs.addOrigin(descriptor, { registry: 'r', repository });
  return blobs;
}

async function* inPieces(until = content.length): ByteStream {
  for (let at = 0; at < until; at += 100_000) yield content.subarray(at, at + 100_000);
}

describe('a blob on its way', () => {
  it('can be read while it comes', async () => {
    let release: () => void = () => undefined;
    const half = new Promise<void>((resolve) => (release = resolve));
    const blobs = await storeWith(async function* () {
      yield* inPieces(1_500_000);
      await half;
      for (let at = 1_500_000; at < content.length; at += 100_000) yield content.subarray(at, at + 100_000);
    });
    const file = await blobs.file(descriptor.digest);
    let known = 0;
    await new Promise<void>((resolve) =>
      file?.growth?.watch((size) => {
        known = size;
        if (size >= 1_000_000) resolve();
      }),
    );
    expect(readFileSync(file?.path ?? '').subarray(0, known)).toEqual(content.subarray(0, known));
    expect(await blobs.isHere(descriptor.digest)).toBe(false);
    release();
    expect(await file?.growth?.whole).toBe('here');
    expect(await blobs.file(descriptor.digest)).toEqual({ path: await blobs.fileOf(descriptor.digest) });
  });

  it('is fetched once for all who want it', async () => {
    let fetches = 0;
    const blobs = await storeWith(() => {
      fetches++;
      return inPieces();
    });
    await Promise.all([blobs.bring(descriptor.digest), blobs.file(descriptor.digest), blobs.bring(descriptor.digest)]);
    await blobs.bring(descriptor.digest);
    expect(fetches).toBe(1);
  });

  it('comes in another file where the first repository fails', async () => {
    const blobs = await storeWith(
      async function* (repository) {
        if (repository === 'two') return yield* inPieces();
        yield* inPieces(1_000_000);
        await new Promise((resolve) => setTimeout(resolve, 20));
        throw new Error('gone');
      },
      ['one', 'two'],
    );
    const file = await blobs.file(descriptor.digest);
    expect(await file?.growth?.whole).toBe('elsewhere');
    expect(await blobs.isHere(descriptor.digest)).toBe(true);
  });

  it('tells why it cannot be had', async () => {
    // biome-ignore lint/correctness/useYield: it fails before its first byte
    const blobs = await storeWith(async function* () {
      throw new Error('no network');
    });
    await expect(blobs.file(descriptor.digest)).rejects.toThrow('no network');
    await expect(blobs.bring(descriptor.digest)).rejects.toThrow('no network');
  });

  it('is not there under its name while its bytes are unproved', async () => {
    const blobs = await storeWith(async function* () {
      yield* inPieces(2_900_000);
      yield Buffer.alloc(100_000);
    });
    const file = await blobs.file(descriptor.digest);
    await expect(file?.growth?.whole).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    expect(await blobs.isHere(descriptor.digest)).toBe(false);
  });
});
