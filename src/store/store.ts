import { join } from 'node:path';
import type { CacheIndex, LayerSource } from '../oci/index.ts';
import { blobLayers } from './blob-layers.ts';
import { DiskContentStore } from './blobs.ts';
import { DiskCacheIndex } from './cache-index.ts';
import { type Pruned, type PruneOptions, prune, type RemoveCaches, type RemoveLayerDirectory } from './gc.ts';
import type { Decompress } from './image-reader.ts';
import { ImageStore } from './images.ts';
import { DiskLayerIndex } from './layer-index.ts';
import { type Lease, Leases } from './leases.ts';
import { createRoot, type StorePaths, storePaths } from './paths.ts';
import { temporaryName } from './process-identity.ts';
import { listUsage, type MeasurePath, type UsageLine } from './usage.ts';
import { type LayerCheck, type Verified, verifyStore } from './verify.ts';

export interface StoreDependencies {
  /** Layers in other forms than blobs (frozen directories). Absent: blobs only. */
  readonly layers?: LayerSource | undefined;
  readonly decompress: Decompress;
  readonly removeLayerDirectory?: RemoveLayerDirectory | undefined;
  readonly removeCaches?: RemoveCaches | undefined;
  readonly layerCheck?: LayerCheck | undefined;
  /** Absent: what is not a blob counts nothing. */
  readonly measure?: MeasurePath | undefined;
}

/** An open state directory. Whatever writes to it, or reads from it for longer, holds a lease. */
export interface Store {
  readonly paths: StorePaths;
  readonly blobs: DiskContentStore;
  readonly layerIndex: DiskLayerIndex;
  readonly cache: CacheIndex;
  readonly images: ImageStore;
  /** Runs `work` under a lease: nothing that it makes or uses is pruned by other processes meanwhile. */
  withLease<T>(work: (lease: Lease) => Promise<T>): Promise<T>;
  prune(options?: PruneOptions): Promise<Pruned>;
  verify(options: { readonly repair: boolean }): Promise<Verified>;
  usage(): Promise<readonly UsageLine[]>;
  /** A new path on the store's file system for what is not complete yet; cleared away when we are gone. */
  temporaryPath(): string;
}

/**
 * Opens the state directory `root` and makes it where needed. `connect` gets the parts that layers are built on and
 * returns what the store needs of layers. Throws `E_CORRUPT_STORE` for a newer format, `E_STORE`, `E_NO_SPACE`.
 */
export function openStore(root: string, connect: (base: StoreBase) => StoreDependencies): Store {
  const base = openBase(root);
  const { paths, blobs, layerIndex } = base;
  const deps = connect(base);
  const layers = deps.layers ?? blobLayers(base, deps.decompress);
  const images = new ImageStore({ paths, blobs, layerIndex, layers, decompress: deps.decompress });
  const leases = new Leases(paths);
  const { removeLayerDirectory, removeCaches, measure = async () => 0 } = deps;
  const pruning = { paths, blobs, images, layerIndex, layers, leases, removeLayerDirectory, removeCaches, measure };
  return {
    ...base,
    images,
    cache: new DiskCacheIndex({ paths, layers, layerIndex }),
    withLease: (work) => leases.withLease(work),
    temporaryPath: () => join(paths.ingest, temporaryName()),
    prune: (options) => prune(pruning, options),
    verify: (options) =>
      verifyStore({ paths, blobs, images, layers, layerCheck: deps.layerCheck, removeLayerDirectory }, options),
    usage: () => listUsage({ paths, measure }),
  };
}

/** What needs no layers: they are built on it. */
export interface StoreBase {
  readonly paths: StorePaths;
  readonly blobs: DiskContentStore;
  readonly layerIndex: DiskLayerIndex;
}

function openBase(root: string): StoreBase {
  const paths = storePaths(root);
  createRoot(paths);
  return { paths, blobs: new DiskContentStore(paths), layerIndex: new DiskLayerIndex(paths) };
}
