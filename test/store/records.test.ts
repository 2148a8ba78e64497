import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CacheRecord, cacheKeyFrom, type DiffId, digestOf, type LayerSource } from '../../src/oci/index.ts';
import { openStore, type Store } from '../../src/store/index.ts';
import { decompress, layerOf, tarOf } from '../support/sample-images.ts';

let root = '';
let store: Store;
let present: DiffId[] = [];
const layers: LayerSource = {
  find: async (diffId) => (present.includes(diffId) ? layerOf(await tarOf({})) : undefined),
};
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tsbuild-records-'));
  store = openStore(root, () => ({ decompress, layers }));
  present = [];
});
afterEach(() => rm(root, { recursive: true, force: true }));

// The digest of any text has the form of a diffID.
const diffIdOf = (text: string): DiffId => digestOf(text) as string as DiffId;
const record = (text: string, diffId?: DiffId): CacheRecord => ({
  key: cacheKeyFrom(text),
  ...(diffId ? { layer: { diffId, sizeBytes: 7 } } : {}),
  created: '2020-01-01T00:00:00Z',
  preimage: `{"op":"${text}"}`,
  slot: 'stage0/1 RUN',
});

describe('cache records', () => {
  test('are found by key, and the newest by slot', async () => {
    await store.cache.record(record('one'), { isLatest: true });
    await store.cache.record(record('two'), { isLatest: true });
    expect(await store.cache.lookup(cacheKeyFrom('one'))).toEqual(record('one'));
    expect(await store.cache.latest('stage0/1 RUN')).toEqual(record('two'));
    expect(await store.cache.lookup(cacheKeyFrom('three'))).toBeUndefined();
    expect(await store.cache.latest('other')).toBeUndefined();
  });

  test('are a miss when their layer is gone', async () => {
    await store.cache.record(record('one', diffIdOf('layer')), { isLatest: true });
    expect(await store.cache.lookup(cacheKeyFrom('one'))).toBeUndefined();
    present = [diffIdOf('layer')];
    expect(await store.cache.lookup(cacheKeyFrom('one'))).toEqual(record('one', diffIdOf('layer')));
  });

  test.each(['', '{', '[]', 'null', '{"key":1}', '{"layer":{}}'])('are a miss when damaged: %j', async (text) => {
    await store.cache.record(record('one'), { isLatest: true });
    for (const directory of ['cache', 'slots']) {
      for (const name of await readdir(join(root, directory))) await writeFile(join(root, directory, name), text);
    }
    expect(await store.cache.lookup(cacheKeyFrom('one'))).toBeUndefined();
    expect(await store.cache.latest('stage0/1 RUN')).toBeUndefined();
  });

  test('under the name of another key are a miss', async () => {
    await store.cache.record(record('one'), { isLatest: true });
    await store.cache.record(record('two'), { isLatest: true });
    const path = (text: string) => join(root, 'cache', `${cacheKeyFrom(text).slice(7)}.json`);
    await writeFile(path('one'), await readFile(path('two')));
    expect(await store.cache.lookup(cacheKeyFrom('one'))).toBeUndefined();
  });
});

describe('the layer index', () => {
  const blob = (text: string, compression: 'none' | 'gzip' = 'gzip') => ({
    compression,
    digest: digestOf(text),
    size: text.length,
  });

  test('adds to what is known', async () => {
    const diffId = diffIdOf('layer');
    expect(await store.layerIndex.get(diffId)).toBeUndefined();
    await store.layerIndex.add({ diffId, blobs: [blob('a')] });
    await store.layerIndex.add({ diffId, tarSize: 10, blobs: [blob('b', 'none')] });
    await store.layerIndex.add({ diffId, blobs: [blob('a')] });
    expect(await store.layerIndex.get(diffId)).toEqual({ diffId, tarSize: 10, blobs: [blob('a'), blob('b', 'none')] });
  });

  test('loses nothing when many add at once', async () => {
    const diffId = diffIdOf('layer');
    const texts = Array.from({ length: 20 }, (_, i) => `blob ${i}`);
    await Promise.all(texts.map((text) => store.layerIndex.add({ diffId, blobs: [blob(text)] })));
    const known = (await store.layerIndex.get(diffId))?.blobs.map(({ digest }) => digest);
    expect(new Set(known)).toEqual(new Set(texts.map((text) => digestOf(text))));
  });
});

describe('the state directory', () => {
  test('is private', async () => {
    expect((await stat(root)).mode & 0o777).toBe(0o700);
    const inner = join(root, 'inner');
    openStore(inner, () => ({ decompress }));
    expect((await stat(inner)).mode & 0o777).toBe(0o700);
  });

  test('of a newer format is refused', async () => {
    await writeFile(join(root, 'tsbuild-store.json'), '{"formatVersion":99}');
    expect(() => openStore(root, () => ({ decompress }))).toThrow(/unknown format 99/);
  });

  test('in /proc is an error at once', () => {
    expect(() => openStore('/proc/none/store', () => ({ decompress }))).toThrow(
      expect.objectContaining({ code: 'E_STORE' }),
    );
  });

  test('that cannot be made is an error of the store', async () => {
    await writeFile(join(root, 'file'), '');
    expect(() => openStore(join(root, 'file'), () => ({ decompress }))).toThrow(
      expect.objectContaining({ code: 'E_STORE' }),
    );
  });
});
