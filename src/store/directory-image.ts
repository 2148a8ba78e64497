import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError, systemErrorCode } from '../errors.ts';
import {
  type Descriptor,
  type Digest,
  digestOf,
  hexOf,
  type Image,
  type ImageSource,
  MAX_JSON_BYTES,
  OCI_MANIFEST,
  type Platform,
  type Reference,
  type TransferOptions,
} from '../oci/index.ts';
import { DiskContentStore } from './blobs.ts';
import { type Decompress, layerFromBlob, readImage } from './image-reader.ts';
import { metered } from './metered.ts';
import { storeError } from './store-error.ts';

export interface DirectoryImageOptions {
  readonly directory: string;
  readonly decompress: Decompress;
}

/**
 * `dir:DIR` of containers/image: manifest.json, and beside it the blobs under the hex of their digests. Where
 * manifest.json is an index, the manifests that it names are in `HEX.manifest.json`.
 */
export class DirectoryImage implements ImageSource {
  readonly #directory: string;
  readonly #decompress: Decompress;
  readonly #blobs: DiskContentStore;

  constructor({ directory, decompress }: DirectoryImageOptions) {
    this.#directory = directory;
    this.#decompress = decompress;
    this.#blobs = new DiskContentStore({ blobs: directory, ingest: directory, isForeign: true });
  }

  /** The image in it; `ref` says nothing here. Throws `E_NO_IMAGE`, `E_NO_PLATFORM`, `E_BAD_MANIFEST`. */
  async resolve(_ref: Reference, platform: Platform, { emit }: TransferOptions = {}): Promise<Image> {
    const raw = await this.#readManifest('manifest.json');
    const root = { mediaType: OCI_MANIFEST, digest: digestOf(raw), size: raw.byteLength };
    const open = (descriptor: Descriptor) =>
      metered(this.#blobs.open(descriptor), descriptor, { direction: 'load', emit });
    return readImage(
      root,
      {
        read: (digest) => (digest === root.digest ? Promise.resolve(raw) : this.#read(digest)),
        layer: (descriptor, diffId) => layerFromBlob(descriptor, diffId, { open, decompress: this.#decompress }),
      },
      platform,
    );
  }

  async #read(digest: Digest): Promise<Uint8Array> {
    const instance = `${hexOf(digest)}.manifest.json`;
    if (!existsSync(join(this.#directory, instance))) return this.#blobs.read(digest);
    const raw = await this.#readManifest(instance);
    if (digestOf(raw) === digest) return raw;
    throw new BuildError('E_DIGEST_MISMATCH', `Cannot read "${instance}" in "${this.#directory}": it is not ${digest}`);
  }

  async #readManifest(name: string): Promise<Uint8Array> {
    const path = join(this.#directory, name);
    try {
      const raw = await readFile(path);
      if (raw.byteLength <= MAX_JSON_BYTES) return raw;
    } catch (cause) {
      if (systemErrorCode(cause) !== 'ENOENT') throw storeError({ doing: 'read the image', path }, cause);
      throw new BuildError('E_NO_IMAGE', `No image in "${this.#directory}"`, {
        hint: 'A directory of dir: has a manifest.json; an OCI layout is named oci:DIR',
        cause,
      });
    }
    throw new BuildError('E_BAD_MANIFEST', `Cannot read "${path}": too large`);
  }
}
