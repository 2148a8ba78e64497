import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Descriptor,
  type DiffId,
  type Digest,
  type Image,
  type ImageIndex,
  type ImageOrIndex,
  isDigest,
  isImageIndex,
  type Platform,
} from '../oci/index.ts';
import { imagePath, type StorePaths } from './paths.ts';
import { readRecord, readStateFile, replaceFile, touch } from './state-file.ts';
import { storeError } from './store-error.ts';

/** What `images` and `prune` must know of an image, without opening its manifest and config. */
export interface ImageRecord {
  readonly manifest: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>;
  /** Digest of the config: the image's ID. */
  readonly imageId: Digest;
  readonly layers: readonly { readonly digest: Digest; readonly size: number; readonly diffId: DiffId }[];
  readonly platform: Platform;
  /** RFC 3339, of the config. */
  readonly created?: string;
}

/** Of an index. Its images have records of their own. */
export interface IndexRecord {
  readonly manifest: ImageRecord['manifest'];
  /** Digests of their manifests. */
  readonly images: readonly Digest[];
}

export type StoredRecord = ImageRecord | IndexRecord;

export const isIndexRecord = (record: StoredRecord): record is IndexRecord => 'images' in record;

/** What users call it by: the digest of the config, or that of the index. */
export const idOf = (record: StoredRecord): Digest => (isIndexRecord(record) ? record.manifest.digest : record.imageId);

/** The layers of a record itself. */
export const layersOf = (record: StoredRecord): ImageRecord['layers'] => (isIndexRecord(record) ? [] : record.layers);

/** A file for each image and index that was written and not pruned yet, named or not. */
export class ImageRecords {
  readonly #paths: StorePaths;

  constructor(paths: StorePaths) {
    this.#paths = paths;
  }

  async get(manifest: Digest): Promise<StoredRecord | undefined> {
    return parseStoredRecord(await readRecord(imagePath(this.#paths, manifest)));
  }

  async add(content: ImageOrIndex): Promise<void> {
    const path = imagePath(this.#paths, content.descriptor.digest);
    const bytes = JSON.stringify(isImageIndex(content) ? indexRecordOf(content) : recordOf(content));
    // A build in which nothing changed waits for no disk.
    if ((await readStateFile(path)) === bytes && (await touch(path))) return;
    await replaceFile({ path, bytes, ingest: this.#paths.ingest, durable: true });
  }

  /** Marks an image as used now: prune leaves it for the processes that run. false: not here. */
  async touch(manifest: Digest): Promise<boolean> {
    return touch(imagePath(this.#paths, manifest));
  }

  async delete(manifest: Digest): Promise<void> {
    await rm(imagePath(this.#paths, manifest), { force: true });
  }

  async list(): Promise<readonly StoredRecord[]> {
    const names = await readdir(this.#paths.images).catch((cause: unknown) => {
      throw storeError({ doing: 'list images', path: this.#paths.images }, cause);
    });
    const records = await Promise.all(
      names
        .filter((name) => name.endsWith('.json'))
        .sort()
        .map((name) => readRecord(join(this.#paths.images, name))),
    );
    return records.flatMap((value) => parseStoredRecord(value) ?? []);
  }
}

function recordOf(image: Image): ImageRecord {
  const { os, architecture, variant, created } = image.config;
  return {
    manifest: image.descriptor,
    imageId: image.configDescriptor.digest,
    layers: image.layers.map(({ descriptor: { digest, size }, diffId }) => ({ digest, size, diffId })),
    platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
    ...(created === undefined ? {} : { created }),
  };
}

const indexRecordOf = ({ descriptor, images }: ImageIndex): IndexRecord => ({
  manifest: descriptor,
  images: images.map((image) => image.descriptor.digest),
});

/** undefined: not a record that we wrote. */
export function parseStoredRecord(value: Readonly<Record<string, unknown>> | undefined): StoredRecord | undefined {
  if (!value) return undefined;
  return 'images' in value ? parseIndexRecord(value) : parseImageRecord(value);
}

function parseIndexRecord(value: Readonly<Record<string, unknown>>): IndexRecord | undefined {
  const record = value as Partial<IndexRecord>; // as below
  if (typeof record.manifest !== 'object' || !isDigest(String(record.manifest?.digest))) return undefined;
  if (!Array.isArray(record.images) || !record.images.every((digest) => isDigest(String(digest)))) return undefined;
  return record as IndexRecord;
}

function parseImageRecord(value: Readonly<Record<string, unknown>>): ImageRecord | undefined {
  // Written by `recordOf`; a file that was damaged since fails these checks.
  const record = value as Partial<{ -readonly [K in keyof ImageRecord]: ImageRecord[K] }>;
  if (typeof record.manifest !== 'object' || !isDigest(String(record.manifest.digest))) return undefined;
  if (!isDigest(String(record.imageId)) || !Array.isArray(record.layers)) return undefined;
  if (typeof record.platform !== 'object' || !record.layers.every(isLayerEntry)) return undefined;
  return record as ImageRecord;
}

const isLayerEntry = (layer: Partial<Record<string, unknown>>): boolean =>
  isDigest(String(layer.digest)) && isDigest(String(layer.diffId)) && typeof layer.size === 'number';
