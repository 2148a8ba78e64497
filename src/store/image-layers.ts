import { BuildError } from '../errors.ts';
import {
  asDigest,
  type ByteStream,
  type Descriptor,
  type DiffId,
  type Layer,
  type LayerFile,
  type LayerSource,
  layerCompression,
  verify,
} from '../oci/index.ts';
import { type Decompress, layerFromBlob } from './image-reader.ts';
import type { DiskLayerIndex } from './layer-index.ts';
import { forEachParallel } from './parallel.ts';
import type { Origin, RemoteBlobs } from './remote-blobs.ts';

export interface LayerStorage {
  readonly blobs: RemoteBlobs;
  readonly layerIndex: DiskLayerIndex;
  /** Layers that are here in another form than a blob. */
  readonly layers: LayerSource;
  readonly decompress: Decompress;
}

/**
 * What becomes of layers that are not here: `fetched`, now; an origin: they stay there until somebody reads them;
 * `reachable`: those stay where they are whose origin is known.
 */
export type Missing = 'fetched' | 'reachable' | Origin;

export interface IngestOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default: `fetched`. */
  readonly missing?: Missing | undefined;
}

/** Stores the layers that are not here yet, a few at a time. */
export async function ingestLayers(
  layers: readonly Layer[],
  storage: LayerStorage,
  { signal, missing = 'fetched' }: IngestOptions,
): Promise<void> {
  const unique = [...new Map(layers.map((layer) => [layer.descriptor.digest, layer])).values()];
  await forEachParallel(unique, (layer, stop) => ingestLayer(layer, storage, { missing, signal: stop }), signal);
}

/**
 * The index learns which diffID the image's config claims for the blob. The claim is proved when the layer is first
 * decompressed (`uncompressed` ends with the comparison): decompressing here as well would double the work of a pull.
 */
async function ingestLayer(layer: Layer, storage: LayerStorage, options: IngestOptions): Promise<void> {
  const { descriptor, diffId } = layer;
  if (await isElsewhere(layer, storage)) {
    await storage.layerIndex.touch(diffId);
    return;
  }
  const compression = layerCompression(descriptor.mediaType);
  await ingestBlob(layer, storage.blobs, options);
  // Something that is no layer (an artefact's blob) is kept and not indexed.
  if (compression === undefined) return;
  const { digest, size } = descriptor;
  await storage.layerIndex.add({
    diffId,
    ...(compression === 'none' ? { tarSize: size } : {}),
    blobs: [{ compression, digest, size }],
  });
}

async function ingestBlob(
  layer: Layer,
  blobs: RemoteBlobs,
  { missing = 'fetched', signal }: IngestOptions,
): Promise<void> {
  const { descriptor } = layer;
  const isThere = missing === 'fetched' ? blobs.isHere(descriptor.digest) : blobs.has(descriptor.digest);
  if (typeof missing === 'object' && !(await blobs.isHere(descriptor.digest))) {
    await blobs.addOrigin(descriptor, missing);
  } else if (!(await isThere)) await blobs.ingest(layer.compressed(signal), descriptor, signal);
}

/** Only a tar can be made again from another form; the exact bytes of a compressed blob cannot. */
async function isElsewhere({ descriptor, diffId }: Layer, { blobs, layers }: LayerStorage): Promise<boolean> {
  if (descriptor.digest !== asDigest(diffId) || (await blobs.has(descriptor.digest))) return false;
  return (await layers.find(diffId)) !== undefined;
}

/** A layer of a stored image: from its blob, or else made from whatever form of it is here. */
export function storedLayer(descriptor: Descriptor, diffId: DiffId, storage: LayerStorage): Layer {
  const fromBlob = layerFromBlob(descriptor, diffId, {
    open: (target) => storage.blobs.open(target),
    decompress: storage.decompress,
  });
  const found = async (): Promise<Layer> => {
    const layer = await storage.layers.find(diffId);
    if (layer) return layer;
    throw new BuildError('E_CORRUPT_STORE', `Missing layer ${descriptor.digest} in the store`, {
      hint: 'Pull or build the image again',
      fields: { diffId },
    });
  };
  return {
    descriptor,
    diffId,
    compressed: async function* (signal): ByteStream {
      const here = descriptor.digest !== asDigest(diffId) || (await storage.blobs.has(descriptor.digest));
      yield* here ? fromBlob.compressed(signal) : verify((await found()).uncompressed(signal), descriptor, 'layer');
    },
    uncompressed: async function* (signal): ByteStream {
      const here = await storage.blobs.has(descriptor.digest);
      yield* here ? fromBlob.uncompressed(signal) : (await found()).uncompressed(signal);
    },
    file: () => fileOfBlob(descriptor, storage.blobs),
  };
}

async function fileOfBlob(descriptor: Descriptor, blobs: RemoteBlobs): Promise<LayerFile | undefined> {
  const compression = layerCompression(descriptor.mediaType);
  const file = compression && (await blobs.file(descriptor.digest));
  return file && { ...file, compression, check: () => readThrough(blobs.open(descriptor)) };
}

/** To the end, where the bytes are compared with their digest. */
async function readThrough(bytes: ByteStream): Promise<void> {
  for await (const _ of bytes);
}
