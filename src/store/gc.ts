import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type CacheKey,
  type CacheRecord,
  type DiffId,
  type Digest,
  hexOf,
  isDigest,
  type LayerSource,
} from '../oci/index.ts';
import type { DiskContentStore } from './blobs.ts';
import { parseCacheRecord } from './cache-index.ts';
import { sweepContexts } from './gc-contexts.ts';
import { mark } from './gc-mark.ts';
import { selectRecords, type UsedRecord } from './gc-select.ts';
import { Sweep } from './gc-sweep.ts';
import { isIndexRecord, type StoredRecord } from './image-records.ts';
import type { ImageStore } from './images.ts';
import type { DiskLayerIndex } from './layer-index.ts';
import type { Leases } from './leases.ts';
import { blobPath, imagePath, layerIndexPath, type StorePaths } from './paths.ts';
import { namesIn, readRecord } from './state-file.ts';
import { type MeasurePath, measureUsage } from './usage.ts';

export interface PruneOptions {
  /** Also the cache, the directories of cache mounts, and spare forms of layers: what remains is what tagged images need. */
  readonly all?: boolean;
  /** Untagged images stay (after `rmi`, which frees only what it removed). */
  readonly keepUntagged?: boolean;
  /** Only counts. */
  readonly dryRun?: boolean;
  /** Cache records that were last used before this moment go (milliseconds since 1970), with `all` no others. */
  readonly unusedSinceMs?: number | undefined;
  /** Cache records go, last used first, until the store holds so many bytes; what named images need stays. */
  readonly keepBytes?: number | undefined;
}

export interface Pruned {
  /** Images, cache records, blobs, layer directories and what was fetched from elsewhere. */
  readonly removed: number;
  readonly freedBytes: number;
}

/** Removes the directory of a layer and returns the bytes that it held; only measures it on a dry run. */
export type RemoveLayerDirectory = (diffId: DiffId, options: { readonly dryRun: boolean }) => Promise<number>;

/** Removes the caches of RUN steps that no build uses; only measures them on a dry run. */
export type RemoveCaches = (options: { readonly dryRun: boolean }) => Promise<Pruned>;

export interface PruneDependencies {
  readonly paths: StorePaths;
  readonly blobs: DiskContentStore;
  readonly images: ImageStore;
  readonly layerIndex: DiskLayerIndex;
  readonly layers: LayerSource;
  readonly leases: Leases;
  /** Its files belong to sub-ids: only the namespace can remove them. Absent: layer directories are left alone. */
  readonly removeLayerDirectory?: RemoveLayerDirectory | undefined;
  /** As above. */
  readonly removeCaches?: RemoveCaches | undefined;
  readonly measure: MeasurePath;
}

/**
 * Marks what tags (and cache records) need, and removes the rest. Runs beside builds and pulls: whatever was made or
 * used since the oldest living lease began is kept.
 */
export async function prune(deps: PruneDependencies, options: PruneOptions = {}): Promise<Pruned> {
  return deps.leases.withLease(async (lease) => {
    const cutoff = await deps.leases.oldestStart(lease.startedMs, lease);
    const sweep = new Sweep({ cutoff, ingest: deps.paths.ingest, dryRun: options.dryRun ?? false });
    const images = await sweepImages(deps, options, sweep);
    const cache = await sweepCache(deps, { ...options, images }, sweep);
    const { layerIndex, blobs } = deps;
    const live = await mark({ images, cache, layerIndex, blobs, keepSpareForms: !options.all });
    for (const diffId of await layersOf(deps.paths)) {
      if (!live.diffIds.has(diffId)) await sweepLayer(deps, diffId, sweep);
    }
    for (const digest of await deps.blobs.list()) {
      if (!live.blobs.has(digest)) await sweep.remove(blobPath(deps.paths, digest), 'counted');
    }
    for (const name of await namesIn(deps.paths.origins)) {
      if (!live.blobs.has(`sha256:${name.slice(0, -'.json'.length)}` as Digest))
        // only compared
        await sweep.remove(join(deps.paths.origins, name), 'quiet');
    }
    const { unusedSinceMs } = options;
    await sweepContexts(deps.paths.statCache, { all: options.all && !isLimited(options), unusedSinceMs }, sweep);
    // what was fetched can be fetched again
    for (const name of await namesIn(deps.paths.remote)) await sweep.removeTree(join(deps.paths.remote, name));
    if (!options.dryRun) await deps.leases.clearIngest(cutoff);
    const caches = options.all && !isLimited(options) ? await deps.removeCaches?.({ dryRun: sweep.dryRun }) : undefined;
    return sweep.result(caches);
  });
}

/** Returns the images that stay. */
async function sweepImages(deps: PruneDependencies, options: PruneOptions, sweep: Sweep): Promise<StoredRecord[]> {
  const needed = new Set((await deps.images.tags()).map((tag) => tag.manifest));
  await restoreRecords(needed, deps.images);
  const records = await deps.images.records();
  const kept: StoredRecord[] = [];
  // an index that stays keeps its images
  for (const record of [...records.filter(isIndexRecord), ...records.filter((other) => !isIndexRecord(other))]) {
    const { digest } = record.manifest;
    const keep = needed.has(digest) || options.keepUntagged;
    const gone = !keep && (await sweep.remove(imagePath(deps.paths, digest), 'counted'));
    if (gone) continue;
    kept.push(record);
    if (isIndexRecord(record)) for (const image of record.images) needed.add(image);
  }
  return kept;
}

/** A named image whose record was lost gets it back; one that cannot be read has nothing to keep. */
async function restoreRecords(named: Iterable<Digest>, images: ImageStore): Promise<void> {
  const records = new Map((await images.records()).map((record) => [record.manifest.digest, record]));
  for (const digest of named) {
    const record = records.get(digest);
    const hasAll = record && (!isIndexRecord(record) || record.images.every((image) => records.has(image)));
    if (!hasAll) await images.content(digest).catch(() => undefined);
  }
}

const isLimited = ({ unusedSinceMs, keepBytes }: PruneOptions): boolean =>
  unusedSinceMs !== undefined || keepBytes !== undefined;

interface CacheSweep extends PruneOptions {
  /** Those that stay. */
  readonly images: readonly StoredRecord[];
}

/** Returns the records that stay: those whose layers are here, within the limits; with `all` and no limit only those in use. */
async function sweepCache(deps: PruneDependencies, options: CacheSweep, sweep: Sweep): Promise<CacheRecord[]> {
  const found = await cacheRecords(deps);
  const selected = options.all && !isLimited(options) ? [] : await select(found, deps, options);
  const useful = new Set(selected.map(({ key }) => key));
  const kept: CacheRecord[] = [];
  for (const { path, record } of found) {
    const isUseful = record !== undefined && useful.has(record.key);
    const gone = !isUseful && (await sweep.remove(path, 'counted'));
    if (!gone && record) kept.push(record);
  }
  const keys = new Set(kept.map((record) => record.key));
  for (const name of await namesIn(deps.paths.slots)) {
    const path = join(deps.paths.slots, name);
    const key = (await readRecord(path))?.key;
    // Compared only with keys that were read; the brand says nothing here.
    if (!keys.has(String(key) as CacheKey)) await sweep.remove(path, 'quiet');
  }
  for (const directory of [deps.paths.cacheFiles, deps.paths.stepLocks]) {
    for (const name of await namesIn(directory)) {
      // named by the hex of the key; a lock that somebody holds is a young file, or its step runs twice
      const key = `sha256:${name.slice(0, HEX_DIGITS)}` as string as CacheKey; // as above
      if (!keys.has(key)) await sweep.remove(join(directory, name), 'quiet');
    }
  }
  return kept;
}

const HEX_DIGITS = 64;

interface FoundRecord {
  readonly path: string;
  /** undefined: damaged. */
  readonly record: CacheRecord | undefined;
  readonly usedMs: number;
}

async function cacheRecords({ paths }: PruneDependencies): Promise<readonly FoundRecord[]> {
  const found: FoundRecord[] = [];
  for (const name of await namesIn(paths.cache)) {
    const path = join(paths.cache, name);
    const usedMs = (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
    found.push({ path, usedMs, record: parseCacheRecord(await readRecord(path)) });
  }
  return found;
}

/** Those whose layers are here, within the limits. */
async function select(
  found: readonly FoundRecord[],
  deps: PruneDependencies,
  { images, unusedSinceMs, keepBytes }: CacheSweep,
): Promise<readonly CacheRecord[]> {
  const usable: UsedRecord[] = [];
  for (const { record, usedMs } of found) {
    if (record && (!record.layer || (await deps.layers.find(record.layer.diffId)))) usable.push({ record, usedMs });
  }
  const limits = { unusedSinceMs, keepBytes };
  if (keepBytes === undefined) return selectRecords(usable, limits, { fixedBytes: 0, bytesOf: () => 0 });
  const usage = await measureUsage(deps, { images, cached: usable.map(({ record }) => record) });
  return selectRecords(usable, limits, usage);
}

async function sweepLayer(deps: PruneDependencies, diffId: DiffId, sweep: Sweep): Promise<void> {
  const { paths, removeLayerDirectory } = deps;
  const record = layerIndexPath(paths, diffId);
  if (await sweep.isRecent(record)) return;
  const directories: string[] = [];
  for (const parent of [paths.layers, paths.recordedLayers]) {
    const directory = join(parent, hexOf(diffId));
    if (await isThere(directory)) directories.push(directory);
  }
  const areRecent = await Promise.all(directories.map((directory) => sweep.isRecent(directory)));
  if (removeLayerDirectory && directories.length > 0 && !areRecent.includes(true)) {
    sweep.count(await removeLayerDirectory(diffId, { dryRun: sweep.dryRun }));
  }
  await sweep.remove(join(paths.tarIndex, hexOf(diffId)), 'quiet');
  await sweep.remove(record, 'quiet');
}

async function layersOf(paths: StorePaths): Promise<readonly DiffId[]> {
  const indexed = (await namesIn(paths.layerIndex)).flatMap((name) => /^([0-9a-f]{64})\.json$/.exec(name)?.[1] ?? []);
  const places = [paths.layers, paths.recordedLayers, paths.tarIndex];
  const others = (await Promise.all(places.map(namesIn))).flat();
  const digests = [...new Set([...indexed, ...others])].map((hex) => `sha256:${hex}`);
  // Named by diffID in all three.
  return digests.filter((text): text is Digest => isDigest(text)).map((digest) => digest as string as DiffId);
}

const isThere = async (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
