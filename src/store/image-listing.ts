import { type Digest, formatPlatform, isImageEntry, type LayerIndex } from '../oci/index.ts';
import { type ImageRecord, idOf, isIndexRecord, type StoredRecord } from './image-records.ts';
import type { TagRecord } from './tags.ts';

/** One line of `tsbuild images`; an image with several names has several. Of an index the sums over its images. */
export interface ImageListing {
  /** undefined: replaced by a newer build of the same name; there until prune. */
  readonly name: string | undefined;
  /** Digest of the config, or of the index. */
  readonly imageId: Digest;
  readonly manifest: Digest;
  readonly created: string | undefined;
  /** Sum of the layers' tar sizes where known, else of their blobs. */
  readonly sizeBytes: number;
  /** Of an index all, with commas between them. */
  readonly platform: string;
}

/** Named ones first, sorted by name. The images of an index are shown by themselves where they have names. */
export async function listImages(
  all: readonly StoredRecord[],
  tags: readonly TagRecord[],
  layerIndex: LayerIndex,
): Promise<readonly ImageListing[]> {
  const records = new Map(all.map((record) => [record.manifest.digest, record]));
  const named = new Set(tags.map((tag) => tag.manifest));
  const parts = new Set(all.flatMap((record) => (isIndexRecord(record) ? record.images : [])));
  const rows = [
    ...tags.flatMap(({ name, manifest }) => {
      const record = records.get(manifest);
      return record ? [{ name, record }] : [];
    }),
    ...all
      .filter(({ manifest: { digest } }) => !named.has(digest) && !parts.has(digest))
      .map((record) => ({ name: undefined, record })),
  ];
  return Promise.all(
    rows.map(async ({ name, record }) => ({ name, ...(await listing(record, imagesIn(record, records), layerIndex)) })),
  );
}

function imagesIn(record: StoredRecord, records: ReadonlyMap<Digest, StoredRecord>): readonly ImageRecord[] {
  if (!isIndexRecord(record)) return [record];
  const images = record.images.flatMap((digest) => records.get(digest) ?? []);
  return images.flatMap((image) => (isIndexRecord(image) ? [] : [image]));
}

async function listing(
  record: StoredRecord,
  images: readonly ImageRecord[],
  layerIndex: LayerIndex,
): Promise<Omit<ImageListing, 'name'>> {
  const layers = isIndexRecord(record) ? onceEach(images) : images.flatMap((image) => image.layers);
  const sizes = layers.map(async ({ diffId, size }) => (await layerIndex.get(diffId))?.tarSize ?? size);
  return {
    imageId: idOf(record),
    manifest: record.manifest.digest,
    created: images.map(({ created }) => created).find((created) => created !== undefined),
    sizeBytes: (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0),
    platform: images
      .filter(isImageEntry)
      .map(({ platform }) => formatPlatform(platform))
      .join(','),
  };
}

/** Images of several platforms may share layers. */
const onceEach = (images: readonly ImageRecord[]): ImageRecord['layers'] => [
  ...new Map(images.flatMap(({ layers }) => layers).map((layer) => [layer.diffId, layer])).values(),
];
