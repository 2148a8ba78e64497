import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError, systemErrorCode } from '../errors.ts';
import {
  type Descriptor,
  type Image,
  type ImageOrIndex,
  type ImageSink,
  type ImageSource,
  imagesOf,
  isDigest,
  isImageIndex,
  type Layer,
  MAX_JSON_BYTES,
  OCI_MANIFEST,
  oneChunk,
  type Platform,
  type Reference,
  type TransferOptions,
} from '../oci/index.ts';
import type { ArchivedImage } from './archive.ts';
import { DiskContentStore } from './blobs.ts';
import { type Decompress, type ImageParts, layerFromBlob, readContent, readImage } from './image-reader.ts';
import {
  addToIndex,
  chooseFromIndex,
  emptyIndex,
  encodeLayoutIndex,
  entryNames,
  LAYOUT_FILE,
  parseLayoutIndex,
} from './layout-index.ts';
import { metered } from './metered.ts';
import { forEachParallel } from './parallel.ts';
import { replaceFile, withFileLock } from './state-file.ts';
import { storeError } from './store-error.ts';

export interface OciLayoutOptions {
  readonly directory: string;
  /** As in `oci:DIR:name`. Absent: the only image when read; the reference's tag when written. */
  readonly name?: string | undefined;
  readonly decompress: Decompress;
}

/** An OCI image layout directory (OCI image-layout.md): `oci:DIR[:name]`. Writing adds to what is there. */
export class OciLayout implements ImageSource, ImageSink {
  readonly #options: OciLayoutOptions;
  readonly #blobs: DiskContentStore;

  constructor(options: OciLayoutOptions) {
    const { directory } = options;
    this.#options = options;
    const blobs = join(directory, 'blobs', 'sha256');
    this.#blobs = new DiskContentStore({ blobs, ingest: directory, mode: 0o644, isForeign: true });
  }

  /** The image that the constructor's name tells; `ref` says nothing here. */
  async resolve(_ref: Reference, platform: Platform, options: TransferOptions = {}): Promise<Image> {
    const { directory, name } = this.#options;
    const index = await this.#requireIndex();
    const isInner = name !== undefined && isDigest(name) && (await this.#blobs.stat(name)) !== undefined;
    // a digest may be that of a manifest that only an index within the layout names
    const entry = isInner
      ? { mediaType: OCI_MANIFEST, digest: name, size: 0 }
      : chooseFromIndex(index, { name, platform, where: directory });
    return this.#open(entry, platform, options);
  }

  /** All images in it. Throws `E_NO_IMAGE` where there is no layout, `E_BAD_MANIFEST`. */
  async list(): Promise<readonly ArchivedImage[]> {
    const index = await this.#requireIndex();
    return index.manifests.map((entry) => ({
      names: entryNames(entry),
      open: (platform, options) => this.#open(entry, platform, options),
      content: (options) => readContent(entry, this.#parts(options)),
    }));
  }

  #open(entry: Descriptor, platform: Platform | undefined, options?: TransferOptions): Promise<Image> {
    return readImage(entry, this.#parts(options), platform);
  }

  #parts({ emit }: TransferOptions = {}): ImageParts {
    const { decompress } = this.#options;
    const open = (descriptor: Descriptor) =>
      metered(this.#blobs.open(descriptor), descriptor, { direction: 'load', emit });
    return {
      read: (digest) => this.#blobs.read(digest),
      layer: (descriptor, diffId) => layerFromBlob(descriptor, diffId, { open, decompress }),
    };
  }

  async write(content: ImageOrIndex, ref: Reference, { signal, emit }: TransferOptions = {}): Promise<Descriptor> {
    const { directory, name } = this.#options;
    await mkdir(directory, { recursive: true }).catch((cause: unknown) => {
      throw storeError({ doing: 'create the OCI layout', path: directory }, cause);
    });
    const layers = imagesOf(content).flatMap((image) => image.layers);
    const unique = [...new Map(layers.map((layer) => [layer.descriptor.digest, layer])).values()];
    const write = async (layer: Layer, stop: AbortSignal): Promise<void> => {
      const bytes = metered(layer.compressed(stop), layer.descriptor, { direction: 'export', emit });
      await this.#blobs.ingest(bytes, layer.descriptor, stop);
    };
    await forEachParallel(unique, write, signal);
    for (const image of imagesOf(content)) {
      await this.#blobs.ingest(oneChunk(image.rawConfig), image.configDescriptor, signal);
      await this.#blobs.ingest(oneChunk(image.rawManifest), image.descriptor, signal);
    }
    if (isImageIndex(content)) await this.#blobs.ingest(oneChunk(content.rawManifest), content.descriptor, signal);
    await replaceFile({ path: join(directory, 'oci-layout'), bytes: LAYOUT_FILE, ingest: directory });
    const path = join(directory, 'index.json');
    await withFileLock(path, async () => {
      const index = addToIndex((await this.#readIndex()) ?? emptyIndex, content, { name, ref });
      await replaceFile({ path, bytes: encodeLayoutIndex(index), ingest: directory, durable: true });
    });
    return content.descriptor;
  }

  async #requireIndex(): Promise<ReturnType<typeof parseLayoutIndex>> {
    const index = await this.#readIndex();
    if (index !== undefined) return index;
    throw new BuildError('E_NO_IMAGE', `No OCI layout in "${this.#options.directory}"`, {
      hint: 'It has no index.json: name a directory that has one, or an archive file',
    });
  }

  async #readIndex(): Promise<ReturnType<typeof parseLayoutIndex> | undefined> {
    const path = join(this.#options.directory, 'index.json');
    try {
      const raw = await readFile(path);
      if (raw.byteLength > MAX_JSON_BYTES) throw new BuildError('E_BAD_MANIFEST', `Cannot read "${path}": too large`);
      return parseLayoutIndex(raw);
    } catch (cause) {
      if (systemErrorCode(cause) === 'ENOENT') return undefined;
      throw storeError({ doing: 'read the OCI layout', path }, cause);
    }
  }
}
