import {
  type Descriptor,
  type Digest,
  digestFrom,
  digestMismatch,
  hexOf,
  type Image,
  type ImageSink,
  type Index,
  MAX_JSON_BYTES,
  type Platform,
  type Reference,
  sha256,
  type TransferOptions,
  verify,
} from '../oci/index.ts';
import type { ArchiveFile } from './archive-file.ts';
import { type ArchiveDestination, bytesMember, directoryMember, fileMember, writeArchive } from './archive-output.ts';
import { type Decompress, layerFromBlob, readImage } from './image-reader.ts';
import { addToIndex, emptyIndex, encodeLayoutIndex, LAYOUT_FILE, parseLayoutIndex } from './layout-index.ts';
import { metered } from './metered.ts';

const blobName = (digest: Digest): string => `blobs/sha256/${hexOf(digest)}`;

/** `oci-archive:FILE[:name]`: a tar of an OCI layout with one image. What was in the file is replaced. */
export class OciArchiveSink implements ImageSink {
  readonly #destination: ArchiveDestination;
  readonly #name: string | undefined;

  constructor(destination: ArchiveDestination, name?: string) {
    this.#destination = destination;
    this.#name = name;
  }

  async write(image: Image, ref: Reference, { signal, emit }: TransferOptions = {}): Promise<Descriptor> {
    const index = addToIndex(emptyIndex, image, { name: this.#name, ref });
    const layers = [...new Map(image.layers.map((layer) => [layer.descriptor.digest, layer])).values()];
    const members = [
      bytesMember('oci-layout', LAYOUT_FILE),
      bytesMember('index.json', encodeLayoutIndex(index)),
      directoryMember('blobs'),
      directoryMember('blobs/sha256'),
      bytesMember(blobName(image.descriptor.digest), image.rawManifest),
      bytesMember(blobName(image.configDescriptor.digest), image.rawConfig),
      ...layers.map((layer) => {
        const { descriptor } = layer;
        const bytes = metered(layer.compressed(signal), descriptor, { direction: 'export', emit });
        return fileMember(blobName(descriptor.digest), descriptor.size, bytes);
      }),
    ];
    await writeArchive(this.#destination, members, signal);
    return image.descriptor;
  }
}

export async function readArchiveIndex(archive: ArchiveFile): Promise<Index> {
  return parseLayoutIndex(await archive.read('index.json', MAX_JSON_BYTES));
}

export interface ArchivedImageOptions extends TransferOptions {
  readonly decompress: Decompress;
  readonly platform: Platform | undefined;
}

/** The image of an entry of the archive's index. */
export async function readOciArchive(
  archive: ArchiveFile,
  entry: Descriptor,
  { decompress, platform, emit }: ArchivedImageOptions,
): Promise<Image> {
  const open = (descriptor: Descriptor) =>
    metered(verify(archive.bytes(blobName(descriptor.digest)), descriptor, 'archived blob'), descriptor, {
      direction: 'load',
      emit,
    });
  const read = async (digest: Digest): Promise<Uint8Array> => {
    const bytes = await archive.read(blobName(digest), MAX_JSON_BYTES);
    const actual = digestFrom(sha256().update(bytes));
    if (actual !== digest) throw digestMismatch('archived blob', digest, actual);
    return bytes;
  };
  const layer = (descriptor: Descriptor, diffId: Parameters<typeof layerFromBlob>[1]) =>
    layerFromBlob(descriptor, diffId, { open, decompress });
  return readImage(entry, { read, layer }, platform);
}
