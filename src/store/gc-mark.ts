import { type CacheRecord, type DiffId, type Digest, digestsOf, type LayerIndex } from '../oci/index.ts';
import type { DiskContentStore } from './blobs.ts';
import { idOf, layersOf, type StoredRecord } from './image-records.ts';

export interface MarkRoots {
  readonly images: readonly StoredRecord[];
  readonly cache: readonly CacheRecord[];
  readonly layerIndex: LayerIndex;
  readonly blobs: DiskContentStore;
  /** Also forms of a layer that its image does not name but that save work (a tar beside its gzip). */
  readonly keepSpareForms: boolean;
}

/** Everything that the roots need. */
export interface Live {
  readonly blobs: ReadonlySet<Digest>;
  readonly diffIds: ReadonlySet<DiffId>;
}

export async function mark({ images, cache, layerIndex, blobs, keepSpareForms }: MarkRoots): Promise<Live> {
  const layers = images.flatMap(layersOf);
  const live = new Set<Digest>(images.flatMap((image) => [image.manifest.digest, idOf(image)]));
  const cached = cache.flatMap((record) => record.layer?.diffId ?? []);
  const inAnyForm = new Set<DiffId>(cached);
  for (const { digest, diffId } of layers) {
    live.add(digest);
    if (keepSpareForms || !(await blobs.stat(digest))) inAnyForm.add(diffId);
  }
  for (const diffId of inAnyForm) {
    const record = await layerIndex.get(diffId);
    for (const digest of record ? digestsOf(record) : []) live.add(digest);
  }
  return { blobs: live, diffIds: new Set([...cached, ...layers.map((layer) => layer.diffId)]) };
}
