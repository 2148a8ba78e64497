import {
  type DiffId,
  type Digest,
  type Ingested,
  isDigest,
  type LayerIndex,
  type LayerPatch,
  type LayerRecord,
} from '../oci/index.ts';
import { layerIndexPath, type StorePaths } from './paths.ts';
import { readRecord, replaceFile, touch, withFileLock } from './state-file.ts';

type LayerBlob = LayerRecord['blobs'][number];

/**
 * A file for each diffID. A lost or damaged record costs a compression or a download, nothing else; only one with a patch is synced:
 * nobody else knows how the layer is made.
 */
export class DiskLayerIndex implements LayerIndex {
  readonly #paths: StorePaths;

  constructor(paths: StorePaths) {
    this.#paths = paths;
  }

  async get(diffId: DiffId): Promise<LayerRecord | undefined> {
    const record = parseLayerRecord(await readRecord(layerIndexPath(this.#paths, diffId)));
    return record?.diffId === diffId ? record : undefined;
  }

  async add(record: LayerRecord): Promise<void> {
    const path = layerIndexPath(this.#paths, record.diffId);
    await withFileLock(path, async () => {
      const merged = merge(await this.get(record.diffId), record);
      const durable = merged.patch !== undefined;
      await replaceFile({ path, bytes: JSON.stringify(merged), ingest: this.#paths.ingest, durable });
    });
  }

  /** The size of a layer's tar as somebody else says it; what is known stays. */
  async addSize(diffId: DiffId, tarSize: number): Promise<void> {
    if ((await this.get(diffId))?.tarSize === undefined) await this.add({ diffId, tarSize, blobs: [] });
  }

  /** Marks a layer as used now: prune leaves it, in all its forms, for the processes that run. */
  async touch(diffId: DiffId): Promise<void> {
    if (!(await touch(layerIndexPath(this.#paths, diffId)))) await this.add({ diffId, blobs: [] });
  }
}

/** undefined: not a record that we wrote. */
export function parseLayerRecord(value: Readonly<Record<string, unknown>> | undefined): LayerRecord | undefined {
  if (typeof value?.diffId !== 'string' || !isDigest(value.diffId) || !Array.isArray(value.blobs)) return undefined;
  if (value.patch !== undefined && !isPatch(value.patch)) return undefined;
  const tarSize = typeof value.tarSize === 'number' ? { tarSize: value.tarSize } : {};
  const patch = value.patch === undefined ? {} : { patch: value.patch };
  // A diffID has the form of a digest.
  return { diffId: value.diffId as string as DiffId, ...tarSize, blobs: value.blobs.filter(isLayerBlob), ...patch };
}

function merge(known: LayerRecord | undefined, added: LayerRecord): LayerRecord {
  const tarSize = added.tarSize ?? known?.tarSize;
  const blobs = new Map<Digest, LayerBlob>();
  for (const blob of [...(known?.blobs ?? []), ...added.blobs]) blobs.set(blob.digest, blob);
  const patch = added.patch ?? known?.patch;
  return {
    diffId: added.diffId,
    ...(tarSize === undefined ? {} : { tarSize }),
    blobs: [...blobs.values()],
    ...(patch ? { patch } : {}),
  };
}

// Only read to be checked, all three.
function isPatch(value: unknown): value is LayerPatch {
  const { base, pieces, parts } = (value ?? {}) as Partial<LayerPatch>;
  return isIngested(base) && isIngested(pieces) && Array.isArray(parts) && parts.every(isPart);
}

const isIngested = (value: unknown): value is Ingested => {
  const { digest, size } = (value ?? {}) as Partial<Ingested>;
  return typeof digest === 'string' && isDigest(digest) && isCount(size);
};

const isPart = (value: unknown): boolean =>
  Array.isArray(value) && (value[0] === 'base' || value[0] === 'pieces') && isCount(value[1]) && isCount(value[2]);

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;

function isLayerBlob(value: unknown): value is LayerBlob {
  if (typeof value !== 'object' || value === null) return false;
  // Only read to be checked.
  const blob = value as Partial<Record<keyof LayerBlob, unknown>>;
  const compression = blob.compression === 'none' || blob.compression === 'gzip' || blob.compression === 'zstd';
  return compression && typeof blob.digest === 'string' && isDigest(blob.digest) && typeof blob.size === 'number';
}
