import {
  type CacheIndex,
  type CacheKey,
  type CacheRecord,
  type DiffId,
  isDigest,
  type LayerSource,
} from '../oci/index.ts';
import type { DiskLayerIndex } from './layer-index.ts';
import { cacheFilesPath, cachePath, type StorePaths, slotPath } from './paths.ts';
import { readRecord, replaceFile, touch } from './state-file.ts';

export interface CacheDependencies {
  readonly paths: StorePaths;
  readonly layers: LayerSource;
  readonly layerIndex: DiskLayerIndex;
}

/** A file for each key. Not synced, and a damaged file is a miss: the step runs again. */
export class DiskCacheIndex implements CacheIndex {
  readonly #deps: CacheDependencies;

  constructor(deps: CacheDependencies) {
    this.#deps = deps;
  }

  async lookup(key: CacheKey): Promise<CacheRecord | undefined> {
    const { paths, layers, layerIndex } = this.#deps;
    const record = await this.#read(key);
    if (!record) return undefined;
    // Before the layer is looked for: from here on prune leaves both alone.
    await touch(cachePath(paths, key));
    if (!record.layer) return record;
    if (!(await layers.find(record.layer.diffId))) return undefined;
    await layerIndex.touch(record.layer.diffId);
    return record;
  }

  async record(record: CacheRecord, { isLatest }: { readonly isLatest: boolean }): Promise<void> {
    const { paths } = this.#deps;
    const ingest = paths.ingest;
    const { files, ...rest } = record;
    await replaceFile({ path: cachePath(paths, record.key), bytes: JSON.stringify(rest), ingest });
    if (!isLatest) return;
    if (files) await replaceFile({ path: cacheFilesPath(paths, record.key), bytes: JSON.stringify({ files }), ingest });
    const slot = JSON.stringify({ slot: record.slot, key: record.key });
    await replaceFile({ path: slotPath(paths, record.slot), bytes: slot, ingest });
  }

  async latest(slot: string): Promise<CacheRecord | undefined> {
    const value = await readRecord(slotPath(this.#deps.paths, slot));
    if (!value || value.slot !== slot || typeof value.key !== 'string' || !isDigest(value.key)) return undefined;
    // The form of a cache key is that of a digest, just checked.
    const record = await this.#read(value.key as string as CacheKey);
    if (!record) return undefined;
    const files = (await readRecord(cacheFilesPath(this.#deps.paths, record.key)))?.files;
    return isTexts(files) ? { ...record, files } : record;
  }

  async #read(key: CacheKey): Promise<CacheRecord | undefined> {
    const record = parseCacheRecord(await readRecord(cachePath(this.#deps.paths, key)));
    return record?.key === key ? record : undefined;
  }
}

/** undefined: not a record that we wrote. */
export function parseCacheRecord(value: Readonly<Record<string, unknown>> | undefined): CacheRecord | undefined {
  if (!value) return undefined;
  const { key, created, preimage, slot } = value;
  if (typeof key !== 'string' || !isDigest(key)) return undefined;
  if (typeof created !== 'string' || typeof preimage !== 'string' || typeof slot !== 'string') return undefined;
  const layer = parseLayer(value.layer);
  if (layer === 'damaged') return undefined;
  // Checked above; a cache key has the form of a digest.
  return {
    key: key as string as CacheKey,
    created,
    preimage,
    slot,
    ...(layer ? { layer } : {}),
    // as above
    ...(typeof value.contentKey === 'string' && isDigest(value.contentKey)
      ? { contentKey: value.contentKey as string as CacheKey }
      : {}),
  };
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((text) => typeof text === 'string');

function parseLayer(value: unknown): CacheRecord['layer'] | 'damaged' {
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null || !('diffId' in value) || !('sizeBytes' in value)) return 'damaged';
  const { diffId, sizeBytes } = value;
  if (typeof diffId !== 'string' || !isDigest(diffId) || typeof sizeBytes !== 'number') return 'damaged';
  // A diffID has the form of a digest.
  return { diffId: diffId as string as DiffId, sizeBytes };
}
