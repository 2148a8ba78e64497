import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cacheKeyFrom, type DiffId, hexOf, parseLocalName } from '../../src/oci/index.ts';
import { openStore, type Store } from '../../src/store/index.ts';
import { Leases } from '../../src/store/leases.ts';
import { collect, decompress, sampleImage, streamOf } from '../support/sample-images.ts';

let root = '';
let store: Store;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tsbuild-prune-'));
  store = openStore(root, ({ paths }) => ({
    decompress,
    removeLayerDirectory: async (diffId, { dryRun }) => {
      if (!dryRun) rmSync(join(paths.layers, hexOf(diffId)), { recursive: true });
      return 1000;
    },
  }));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** Longer than the clock grain of leases. */
const age = () => sleep(50);
const ref = parseLocalName('app');
const layerDirectory = (diffId: DiffId) => join(root, 'layers', hexOf(diffId));

describe('prune', () => {
  test('keeps what a tag needs and removes the rest', async () => {
    const image = await sampleImage();
    await store.images.write(image, ref);
    const stray = await store.blobs.ingest(streamOf('stray'));
    await age();
    expect(await store.prune({ dryRun: true })).toEqual({ removed: 1, freedBytes: 5 });
    expect(await store.blobs.has(stray.digest)).toBe(true);
    await age();
    expect(await store.prune()).toEqual({ removed: 1, freedBytes: 5 });
    expect(await store.blobs.has(stray.digest)).toBe(false);
    const kept = await store.images.find('app');
    for (const layer of kept.layers) await collect(layer.uncompressed());
  });

  test('keeps an image whose record was damaged', async () => {
    const image = await sampleImage();
    await store.images.write(image, ref);
    await writeFile(join(root, 'images', `${hexOf(image.descriptor.digest)}.json`), '{');
    await age();
    expect((await store.prune({ all: true })).removed).toBe(0);
    expect(await store.images.list()).toHaveLength(1);
    for (const layer of (await store.images.find('app')).layers) await collect(layer.uncompressed());
  });

  test('removes replaced images, or keeps them when asked', async () => {
    const older = await sampleImage();
    const newer = await sampleImage({ env: ['NEW=1'] });
    await store.images.write(older, ref);
    await store.images.write(newer, ref);
    await age();
    expect((await store.prune({ keepUntagged: true, all: true })).removed).toBe(0);
    // Its record, manifest and config; the layers are shared.
    expect((await store.prune()).removed).toBe(3);
    expect((await store.images.list()).map((row) => row.name)).toEqual(['localhost/app:latest']);
  });

  test('forgets contexts that no build used for a month, as a whole; all of them with all', async () => {
    const [used, unused] = ['a'.repeat(32), 'b'.repeat(32)];
    const days = (n: number) => new Date(Date.now() - n * 24 * 60 * 60 * 1000);
    const add = async (name: string, age: number) => {
      await writeFile(join(root, 'stat-cache', name), 'hashes');
      await utimes(join(root, 'stat-cache', name), days(age), days(age));
    };
    const left = async () => (await readdir(join(root, 'stat-cache'))).sort();
    for (const context of [used, unused]) await add(context, 40);
    await add(`${used}-selection`, 20);
    await add(`${unused}-selection`, 31);
    await age();
    expect(await store.prune({ unusedSinceMs: Date.now() - 365 * 24 * 60 * 60 * 1000 })).toMatchObject({ removed: 0 });
    expect(await store.prune()).toEqual({ removed: 2, freedBytes: 12 });
    expect(await left()).toEqual([used, `${used}-selection`]);
    await store.prune({ all: true });
    expect(await left()).toEqual([]);
  });

  test('keeps the cache and its layers, and removes both with all', async () => {
    const tar = Buffer.from('a tar');
    const { digest, size } = await store.blobs.ingest(streamOf(tar));
    // An uncompressed blob's digest is the diffID.
    const diffId = digest as string as DiffId;
    await store.layerIndex.add({ diffId, tarSize: size, blobs: [{ compression: 'none', digest, size }] });
    mkdirSync(layerDirectory(diffId));
    const tarIndex = join(root, 'tar-index', hexOf(diffId));
    await writeFile(tarIndex, 'contents');
    const key = cacheKeyFrom('step');
    const created = '2020-01-01T00:00:00Z';
    await store.cache.record(
      { key, layer: { diffId, sizeBytes: size }, created, preimage: '{}', slot: 's' },
      { isLatest: true },
    );
    await age();
    expect((await store.prune()).removed).toBe(0);
    expect(existsSync(tarIndex)).toBe(true);
    expect(await store.cache.lookup(key)).toBeDefined();
    await age();
    // The record, the directory (1000 bytes) and the blob.
    const { removed, freedBytes } = await store.prune({ all: true });
    expect(removed).toBe(3);
    expect(freedBytes).toBeGreaterThan(1000);
    expect(existsSync(layerDirectory(diffId)) || existsSync(tarIndex)).toBe(false);
    expect(await store.cache.lookup(key)).toBeUndefined();
    expect(await store.cache.latest('s')).toBeUndefined();
  });

  test('removes spare forms of a layer with all', async () => {
    const gzipped = await sampleImage({ compression: 'gzip' });
    const plain = await sampleImage();
    await store.images.write(gzipped, ref);
    await store.images.write(plain, parseLocalName('plain'));
    await store.images.remove('plain');
    await age();
    // Its manifest; the config is shared.
    expect((await store.prune()).removed).toBe(1);
    expect((await store.prune({ all: true })).removed).toBe(plain.layers.length);
    for (const layer of (await store.images.find('app')).layers) await collect(layer.compressed());
  });

  test('leaves what was made or used since the oldest living lease began', async () => {
    const old = await store.blobs.ingest(streamOf('old'));
    const used = await store.blobs.ingest(streamOf('used'));
    await age();
    await store.withLease(async () => {
      const fresh = await store.blobs.ingest(streamOf('fresh'));
      expect(await store.blobs.has(used.digest)).toBe(true);
      await age();
      expect((await store.prune({ all: true })).removed).toBe(1);
      expect(await store.blobs.has(old.digest)).toBe(false);
      expect(await store.blobs.has(used.digest)).toBe(true);
      expect(await store.blobs.has(fresh.digest)).toBe(true);
    });
    await age();
    expect((await store.prune({ all: true })).removed).toBe(2);
  });

  test('leaves an image that somebody opened under a lease', async () => {
    const image = await sampleImage();
    await store.images.write(image, ref);
    await age();
    await store.withLease(async () => {
      const opened = await store.images.find('app');
      await store.images.untag(ref);
      await age();
      await store.prune({ all: true });
      for (const layer of opened.layers) await collect(layer.compressed());
    });
  });

  test('two at once do not trip over each other', async () => {
    for (let i = 0; i < 30; i++) await store.blobs.ingest(streamOf(`stray ${i}`));
    await age();
    const results = await Promise.all([store.prune(), store.prune(), store.prune()]);
    expect(results.reduce((sum, { removed }) => sum + removed, 0)).toBeGreaterThanOrEqual(30);
    expect(await store.prune()).toEqual({ removed: 0, freedBytes: 0 });
  });
});

describe('leases', () => {
  const leases = () => new Leases(store.paths);
  const write = (id: string, lease: object) => writeFile(join(root, 'leases', `${id}.json`), JSON.stringify(lease));

  test('of processes that are gone do not count', async () => {
    const { identityOf } = await import('../../src/store/process-identity.ts');
    const here = identityOf(process.pid);
    // pid_max is at most 2^22.
    await write('gone', { ...here, pid: 2 ** 22 + 1, startedMs: 1000 });
    // The pid is in use again, by a process that started at another time.
    await write('reused', { ...here, pid: process.pid, processStart: '1', startedMs: 2000 });
    await write('damaged', { pid: 'x' });
    expect(await leases().oldestStart(9000)).toBe(9000);
    expect(existsSync(join(root, 'leases', 'gone.json'))).toBe(false);
  });

  test('of other pid namespaces live by their heartbeat', async () => {
    const { utimes } = await import('node:fs/promises');
    const lease = { pid: 1, pidNamespace: '1', boot: 'elsewhere', processStart: '5', startedMs: 3000 };
    await write('other', lease);
    expect(await leases().oldestStart(9000)).toBe(3000);
    const before = Date.now() / 1000 - 61;
    await utimes(join(root, 'leases', 'other.json'), before, before);
    expect(await leases().oldestStart(9000)).toBe(9000);
  });

  test('end also when the work fails', async () => {
    await expect(
      store.withLease(async () => {
        throw new Error('work failed');
      }),
    ).rejects.toThrow('work failed');
    expect(await leases().oldestStart(5)).toBe(5);
  });
});
