import { BuildError } from '../errors.ts';
import {
  type Descriptor,
  type Digest,
  formatPlatform,
  formatReference,
  type Image,
  type ImageSink,
  type ImageSource,
  type LayerSource,
  OCI_MANIFEST,
  type Platform,
  parseReference,
  type Reference,
  type TransferOptions,
} from '../oci/index.ts';
import { ingestLayers, type Missing, storedLayer } from './image-layers.ts';
import { candidateNames, idPrefixOf, matchId, noImage } from './image-names.ts';
import { type Decompress, type ImageParts, readImage } from './image-reader.ts';
import { type ImageRecord, ImageRecords } from './image-records.ts';
import type { DiskLayerIndex } from './layer-index.ts';
import { oneChunk } from './one-chunk.ts';
import type { StorePaths } from './paths.ts';
import type { RemoteBlobs } from './remote-blobs.ts';
import { namesFor, type TagRecord, Tags } from './tags.ts';

export interface ImageStoreDependencies {
  readonly paths: StorePaths;
  readonly blobs: RemoteBlobs;
  readonly layerIndex: DiskLayerIndex;
  readonly layers: LayerSource;
  readonly decompress: Decompress;
}

/** One line of `tsbuild images`; an image with several names has several. */
export interface ImageListing {
  /** undefined: replaced by a newer build of the same name; there until prune. */
  readonly name: string | undefined;
  readonly imageId: Digest;
  readonly manifest: Digest;
  readonly created: string | undefined;
  /** Sum of the layers' tar sizes where known, else of their blobs. */
  readonly sizeBytes: number;
  readonly platform: string;
}

export interface WriteOptions extends TransferOptions {
  /** What becomes of layers that are not here; default: they are fetched now. */
  readonly missing?: Missing | undefined;
}

/** What `rmi` did. `imageId` is absent while the image keeps other names. */
export interface Removed {
  readonly untagged: readonly string[];
  readonly imageId?: Digest;
}

/** The images of the state directory, by name, by manifest digest and by ID. */
export class ImageStore implements ImageSource, ImageSink {
  readonly #deps: ImageStoreDependencies;
  readonly #tags: Tags;
  readonly #records: ImageRecords;

  constructor(deps: ImageStoreDependencies) {
    this.#deps = deps;
    this.#tags = new Tags(deps.paths);
    this.#records = new ImageRecords(deps.paths);
  }

  /** Exactly `ref`, for `platform`. Throws `E_NO_IMAGE`, `E_NO_PLATFORM`. What a user's text means: `locate`. */
  async resolve(ref: Reference, platform: Platform): Promise<Image> {
    const manifest = await this.#manifestOf(ref);
    if (manifest === undefined) throw noImage(formatReference(ref), await this.#names());
    return this.open(manifest, platform);
  }

  /** Layers first, the name last: what is named is complete. */
  async write(image: Image, ref: Reference, options: WriteOptions = {}): Promise<Descriptor> {
    await this.add(image, options);
    for (const name of namesFor(ref)) await this.#tags.set(name, image.descriptor.digest);
    return image.descriptor;
  }

  /** Keeps an image without a name. */
  async add(image: Image, options: WriteOptions = {}): Promise<void> {
    const { blobs } = this.#deps;
    await ingestLayers(image.layers, this.#deps, options);
    await blobs.ingest(oneChunk(image.rawConfig), image.configDescriptor, options.signal);
    await blobs.ingest(oneChunk(image.rawManifest), image.descriptor, options.signal);
    await this.#records.add(image);
  }

  /** An image of the store by its manifest digest. A lost record of it is written again. */
  async open(manifest: Digest, platform?: Platform): Promise<Image> {
    await this.#records.touch(manifest);
    const record = await this.#records.get(manifest);
    const size = (await this.#deps.blobs.stat(manifest))?.size ?? 0;
    const root = record?.manifest ?? { mediaType: OCI_MANIFEST, digest: manifest, size };
    const image = await readImage(root, this.#parts(), platform);
    if (!record) await this.#records.add(image);
    return image;
  }

  /**
   * The stored name that a user's text means: `x` is localhost/x:latest where that exists, else
   * docker.io/library/x:latest. undefined: no such name here.
   */
  async locate(text: string): Promise<Reference | undefined> {
    for (const candidate of candidateNames(text)) {
      if ((await this.#manifestOf(candidate)) !== undefined) return candidate;
    }
    return undefined;
  }

  /** By name, or by image ID or a prefix of it (four digits or more). Throws `E_NO_IMAGE`. */
  async find(text: string): Promise<Image> {
    return this.open(await this.#identify(text));
  }

  /** Gives the image that `text` means another name. */
  async tag(text: string, name: Reference): Promise<void> {
    if (name.digest !== undefined || name.tag === undefined) {
      throw new BuildError('E_USAGE', `Cannot tag an image as "${formatReference(name)}": a digest cannot be given`, {
        hint: 'Write a name with a tag, for example quay.io/me/app:1.0',
      });
    }
    const manifest = await this.#identify(text);
    await this.#records.touch(manifest);
    await this.#tags.set(name, manifest);
  }

  /** Takes a name away; the image stays. false: there was no such name. */
  async untag(name: Reference): Promise<boolean> {
    return this.#tags.delete(name);
  }

  /** By name: takes the name, and the image with its last name. By ID: takes all names. Blobs stay until prune. */
  async remove(text: string): Promise<Removed> {
    const ref = await this.locate(text);
    const manifest = await this.#identify(text);
    const names = (await this.#tags.list()).filter((tag) => tag.manifest === manifest).map((tag) => tag.name);
    const untagged = ref ? names.filter((name) => name === formatReference(ref)) : names;
    for (const name of untagged) await this.#tags.delete(parseReference(name));
    if (untagged.length < names.length) return { untagged };
    const imageId = (await this.#records.get(manifest))?.imageId;
    await this.#records.delete(manifest);
    return { untagged, ...(imageId === undefined ? {} : { imageId }) };
  }

  async tags(): Promise<readonly TagRecord[]> {
    return this.#tags.list();
  }

  async records(): Promise<readonly ImageRecord[]> {
    return this.#records.list();
  }

  /** All images; named ones first, sorted by name. */
  async list(): Promise<readonly ImageListing[]> {
    const records = new Map((await this.#records.list()).map((record) => [record.manifest.digest, record]));
    const tags = await this.#tags.list();
    const named = new Set(tags.map((tag) => tag.manifest));
    const rows = [
      ...tags.flatMap(({ name, manifest }) => {
        const record = records.get(manifest);
        return record ? [{ name, record }] : [];
      }),
      ...[...records.values()]
        .filter((record) => !named.has(record.manifest.digest))
        .map((record) => ({ name: undefined, record })),
    ];
    return Promise.all(rows.map(({ name, record }) => this.#listing(name, record)));
  }

  async #listing(name: string | undefined, record: ImageRecord): Promise<ImageListing> {
    const sizes = record.layers.map(
      async ({ diffId, size }) => (await this.#deps.layerIndex.get(diffId))?.tarSize ?? size,
    );
    return {
      name,
      imageId: record.imageId,
      manifest: record.manifest.digest,
      created: record.created,
      sizeBytes: (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0),
      platform: formatPlatform(record.platform),
    };
  }

  async #manifestOf(ref: Reference): Promise<Digest | undefined> {
    const { registry, repository, digest } = ref;
    if (digest === undefined) return (await this.#tags.lookup(ref))?.manifest;
    const pulled = await this.#tags.lookup({ registry, repository, digest });
    return pulled?.manifest ?? (await this.#records.get(digest))?.manifest.digest;
  }

  async #identify(text: string): Promise<Digest> {
    const ref = await this.locate(text);
    const named = ref && (await this.#manifestOf(ref));
    if (named) return named;
    const prefix = idPrefixOf(text);
    if (prefix !== undefined) {
      const records = await this.#records.list();
      const imageId = matchId(
        prefix,
        records.map((record) => record.imageId),
      );
      // Manifests may share a config (another compression); the first that is there serves.
      const record = records.find((candidate) => candidate.imageId === imageId);
      if (record) return record.manifest.digest;
    }
    throw noImage(text, await this.#names());
  }

  async #names(): Promise<readonly string[]> {
    return (await this.#tags.list()).map((tag) => tag.name);
  }

  #parts(): ImageParts {
    return {
      read: (digest) => this.#deps.blobs.read(digest),
      layer: (descriptor, diffId) => storedLayer(descriptor, diffId, this.#deps),
    };
  }
}
