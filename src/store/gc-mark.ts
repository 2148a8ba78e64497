import type { CacheRecord, DiffId, Digest, LayerIndex } from '../oci/index.ts';
import type { ImageRecord } from './image-records.ts';

export interface MarkRoots {
  readonly images: readonly ImageRecord[];
  readonly cache: readonly CacheRecord[];
  readonly layerIndex: LayerIndex;
}

/** Everything that the roots need. */
export interface Live {
  readonly blobs: ReadonlySet<Digest>;
  readonly diffIds: ReadonlySet<DiffId>;
}

export async function mark({ images, cache, layerIndex }: MarkRoots): Promise<Live> {
  const diffIds = new Set<DiffId>([
    ...images.flatMap((image) => image.layers.map((layer) => layer.diffId)),
    ...cache.flatMap((record) => record.layer?.diffId ?? []),
  ]);
  const blobs = new Set<Digest>(
    images.flatMap((image) => [image.manifest.digest, image.imageId, ...image.layers.map((layer) => layer.digest)]),
  );
  for (const diffId of diffIds) {
    for (const blob of (await layerIndex.get(diffId))?.blobs ?? []) blobs.add(blob.digest);
  }
  return { blobs, diffIds };
}
