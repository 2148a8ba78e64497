import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type CacheIndex, hexOf, type Layer, type LayerSource } from '../oci/index.ts';
import { blobLayers } from './blob-layers.ts';
import { DiskCacheIndex } from './cache-index.ts';
import { type Pruned, type PruneOptions, prune, type RemoveCaches, type RemoveLayerDirectory } from './gc.ts';
import type { Decompress } from './image-reader.ts';
import { ImageStore } from './images.ts';
import { DiskLayerIndex } from './layer-index.ts';
import { type Lease, Leases } from './leases.ts';
import { forEachParallel } from './parallel.ts';
import { createRoot, type StorePaths, storePaths } from './paths.ts';
import { temporaryName } from './process-identity.ts';
import { type FetchBlob, RemoteBlobs } from './remote-blobs.ts';
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
  readonly blobs: RemoteBlobs;
  readonly layerIndex: DiskLayerIndex;
  readonly cache: CacheIndex;
  readonly images: ImageStore;
  /** Fetches the layers of which no form is here. */
  bring(layers: readonly Layer[], options: { readonly signal?: AbortSignal | undefined }): Promise<void>;
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
 * returns what the store needs of layers. `fetchBlob` brings what still lies in a registry. Throws `E_CORRUPT_STORE` for a
 * newer format, `E_STORE`, `E_NO_SPACE`.
 */
export function openStore(
  root: string,
  connect: (base: StoreBase) => StoreDependencies,
  { fetchBlob }: { readonly fetchBlob?: FetchBlob | undefined } = {},
): Store {
  const base = openBase(root, fetchBlob);
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
    bring: (missing, { signal }) =>
      forEachParallel(missing, (layer) => bringLayer(layer, { paths, blobs, layerIndex }), signal),
    withLease: (work) => leases.withLease(work),
    temporaryPath: () => join(paths.ingest, temporaryName()),
    prune: (options) => prune(pruning, options),
    verify: (options) => verifyStore({ ...pruning, layerCheck: deps.layerCheck }, options),
    usage: () => listUsage({ paths, measure }),
  };
}

/** What needs no layers: they are built on it. */
export interface StoreBase {
  readonly paths: StorePaths;
  readonly blobs: RemoteBlobs;
  readonly layerIndex: DiskLayerIndex;
}

function openBase(root: string, fetchBlob: FetchBlob | undefined): StoreBase {
  const paths = storePaths(root);
  createRoot(paths);
  return { paths, blobs: new RemoteBlobs({ ...paths, fetchBlob }), layerIndex: new DiskLayerIndex(paths) };
}

async function bringLayer({ descriptor, diffId }: Layer, { paths, blobs, layerIndex }: StoreBase): Promise<void> {
  if (existsSync(join(paths.layers, hexOf(diffId)))) return;
  const forms = [descriptor, ...((await layerIndex.get(diffId))?.blobs ?? [])];
  for (const { digest } of forms) if (await blobs.isHere(digest)) return;
  for (const { digest } of forms) if (await blobs.has(digest)) return await blobs.bring(digest);
}
