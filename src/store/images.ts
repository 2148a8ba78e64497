import { BuildError } from '../errors.ts';
import {
  createIndex,
  type Descriptor,
  type Digest,
  DOCKER_MANIFEST,
  formatReference,
  type Image,
  type ImageIndex,
  type ImageOrIndex,
  type ImageSink,
  type ImageSource,
  imagesOf,
  isImageIndex,
  type LayerSource,
  OCI_MANIFEST,
  oneChunk,
  type Platform,
  parseReference,
  type Reference,
  type TransferOptions,
  withImage,
} from '../oci/index.ts';
import { ingestLayers, type Missing, storedLayer } from './image-layers.ts';
import { type ImageListing, listImages } from './image-listing.ts';
import { candidateNames, idPrefixOf, matchId, noImage } from './image-names.ts';
import { chooseImage, type Decompress, type ImageParts, readContent, requirePlatform } from './image-reader.ts';
import { ImageRecords, idOf, isIndexRecord, type StoredRecord } from './image-records.ts';
import type { DiskLayerIndex } from './layer-index.ts';
import { type StorePaths, tagPath } from './paths.ts';
import type { RemoteBlobs } from './remote-blobs.ts';
import { withFileLock } from './state-file.ts';
import { namesFor, type TagRecord, Tags } from './tags.ts';

export interface ImageStoreDependencies {
  readonly paths: StorePaths;
  readonly blobs: RemoteBlobs;
  readonly layerIndex: DiskLayerIndex;
  readonly layers: LayerSource;
  readonly decompress: Decompress;
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
  async write(content: ImageOrIndex, ref: Reference, options: WriteOptions = {}): Promise<Descriptor> {
    await this.add(content, options);
    for (const name of namesFor(ref)) await this.#tags.set(name, content.descriptor.digest);
    return content.descriptor;
  }

  /** As `write`; what the name stands for on other platforms stays: together they are an index. */
  async writeBeside(image: Image, ref: Reference, options: WriteOptions = {}): Promise<void> {
    await this.add(image, options);
    for (const name of namesFor(ref)) {
      await withFileLock(tagPath(this.#deps.paths, formatReference(name)), async () => {
        const before = (await this.#tags.lookup(name))?.manifest;
        // what is lost or damaged is no loss here: it can be had again
        const others = before === undefined ? [] : await this.content(before).then(imagesOf, () => []);
        const together = withImage(others, image);
        const isDocker = together.every(({ descriptor }) => descriptor.mediaType === DOCKER_MANIFEST);
        const content = together.length === 1 ? image : createIndex(together, isDocker ? 'docker' : 'oci');
        if (isImageIndex(content)) await this.#addIndex(content);
        await this.#tags.set(name, content.descriptor.digest);
        if (before !== undefined && before !== content.descriptor.digest) await this.#dropIndex(before);
      });
    }
  }

  /** Keeps an image or index without a name. */
  async add(content: ImageOrIndex, options: WriteOptions = {}): Promise<void> {
    const { blobs } = this.#deps;
    for (const image of imagesOf(content)) {
      await ingestLayers(image.layers, this.#deps, options);
      await blobs.ingest(oneChunk(image.rawConfig), image.configDescriptor, options.signal);
      await blobs.ingest(oneChunk(image.rawManifest), image.descriptor, options.signal);
      await this.#records.add(image);
    }
    if (isImageIndex(content)) await this.#addIndex(content, options);
  }

  async #addIndex(index: ImageIndex, { signal }: WriteOptions = {}): Promise<void> {
    await this.#deps.blobs.ingest(oneChunk(index.rawManifest), index.descriptor, signal);
    await this.#records.add(index);
  }

  /**
   * An image of the store by the digest of its manifest, or by that of an index and the platform; without one the index must
   * have one image only. Throws `E_NO_PLATFORM`.
   */
  async open(manifest: Digest, platform?: Platform): Promise<Image> {
    const content = await this.content(manifest);
    const image = chooseImage(content, platform);
    if (!isImageIndex(content)) requirePlatform(image.config, platform);
    return image;
  }

  /** An image or index of the store by its digest. A lost record of it, or of an image of it, is written again. */
  async content(digest: Digest): Promise<ImageOrIndex> {
    await this.#records.touch(digest);
    const record = await this.#records.get(digest);
    const size = (await this.#deps.blobs.stat(digest))?.size ?? 0;
    const content = await readContent(record?.manifest ?? { mediaType: OCI_MANIFEST, digest, size }, this.#parts());
    if (!record) await this.#records.add(content);
    if (!isImageIndex(content)) return content;
    for (const image of content.images) {
      if (!(await this.#records.touch(image.descriptor.digest))) await this.#records.add(image);
    }
    return content;
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

  /**
   * By name, or by image ID or a prefix of it (four digits or more). Of an index the image for the platform; what stands
   * alone may be for any. Throws `E_NO_IMAGE`, `E_NO_PLATFORM`.
   */
  async find(text: string, platform?: Platform): Promise<Image> {
    return chooseImage(await this.findContent(text), platform);
  }

  /** The same, all of an index. */
  async findContent(text: string): Promise<ImageOrIndex> {
    return this.content(await this.#identify(text));
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

  /**
   * By name: takes the name, and the image with its last name. By ID: takes all names. An index goes with its images, but for
   * those with a name. Blobs stay until prune. Throws `E_USAGE` for an image that an index needs.
   */
  async remove(text: string): Promise<Removed> {
    const ref = await this.locate(text);
    const manifest = await this.#identify(text);
    const names = (await this.#tags.list()).filter((tag) => tag.manifest === manifest).map((tag) => tag.name);
    const untagged = ref ? names.filter((name) => name === formatReference(ref)) : names;
    const index = await this.#indexWith(manifest);
    if (index !== undefined && names.length === 0) throw partOfIndex(text, index);
    for (const name of untagged) await this.#tags.delete(parseReference(name));
    if (untagged.length < names.length || index !== undefined) return { untagged };
    const record = await this.#records.get(manifest);
    await this.#records.delete(manifest);
    if (record && isIndexRecord(record)) await this.#removeUnneeded(record.images);
    return { untagged, ...(record === undefined ? {} : { imageId: idOf(record) }) };
  }

  /** The index that has this manifest. */
  async #indexWith(manifest: Digest): Promise<Digest | undefined> {
    const records = await this.#records.list();
    return records.find((record) => isIndexRecord(record) && record.images.includes(manifest))?.manifest.digest;
  }

  /** An index that has made room for another one with its images. */
  async #dropIndex(digest: Digest): Promise<void> {
    const record = await this.#records.get(digest);
    const isNamed = (await this.#tags.list()).some((tag) => tag.manifest === digest);
    if (record && isIndexRecord(record) && !isNamed) await this.#records.delete(digest);
  }

  async #removeUnneeded(manifests: readonly Digest[]): Promise<void> {
    const named = new Set((await this.#tags.list()).map((tag) => tag.manifest));
    for (const manifest of manifests) {
      if (!named.has(manifest) && (await this.#indexWith(manifest)) === undefined) await this.#records.delete(manifest);
    }
  }

  async tags(): Promise<readonly TagRecord[]> {
    return this.#tags.list();
  }

  async records(): Promise<readonly StoredRecord[]> {
    return this.#records.list();
  }

  /** All images; named ones first, sorted by name. */
  async list(): Promise<readonly ImageListing[]> {
    return listImages(await this.#records.list(), await this.#tags.list(), this.#deps.layerIndex);
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
      const imageId = matchId(prefix, records.map(idOf));
      // Manifests may share a config (another compression); the first that is there serves.
      const record = records.find((candidate) => idOf(candidate) === imageId);
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

const partOfIndex = (text: string, index: Digest): BuildError =>
  new BuildError('E_USAGE', `Cannot remove "${text}": it is one of the images of ${index}`, {
    hint: 'Remove that, and it goes with all of its images',
  });
