import {
  type Descriptor,
  type Digest,
  digestFrom,
  digestMismatch,
  hexOf,
  type Image,
  type ImageOrIndex,
  type ImageSink,
  type Index,
  imagesOf,
  MAX_JSON_BYTES,
  type Platform,
  type Reference,
  sha256,
  type TransferOptions,
  verify,
} from '../oci/index.ts';
import type { ArchiveFile } from './archive-file.ts';
import { type ArchiveDestination, bytesMember, directoryMember, fileMember, writeArchive } from './archive-output.ts';
import { type Decompress, type ImageParts, layerFromBlob, readContent, readImage } from './image-reader.ts';
import { addToIndex, emptyIndex, encodeLayoutIndex, LAYOUT_FILE, parseLayoutIndex } from './layout-index.ts';
import { metered } from './metered.ts';

const blobName = (digest: Digest): string => `blobs/sha256/${hexOf(digest)}`;

/** `oci-archive:FILE[:name]`: a tar of an OCI layout with one image or index. What was in the file is replaced. */
export class OciArchiveSink implements ImageSink {
  readonly #destination: ArchiveDestination;
  readonly #name: string | undefined;

  constructor(destination: ArchiveDestination, name?: string) {
    this.#destination = destination;
    this.#name = name;
  }

  async write(content: ImageOrIndex, ref: Reference, { signal, emit }: TransferOptions = {}): Promise<Descriptor> {
    const index = addToIndex(emptyIndex, content, { name: this.#name, ref });
    const all = imagesOf(content).flatMap((image) => image.layers);
    const layers = [...new Map(all.map((layer) => [layer.descriptor.digest, layer])).values()];
    const members = [
      bytesMember('oci-layout', LAYOUT_FILE),
      bytesMember('index.json', encodeLayoutIndex(index)),
      directoryMember('blobs'),
      directoryMember('blobs/sha256'),
      ...[...documentsOf(content)].map(([digest, bytes]) => bytesMember(blobName(digest), bytes)),
      ...layers.map((layer) => {
        const { descriptor } = layer;
        const bytes = metered(layer.compressed(signal), descriptor, { direction: 'export', emit });
        return fileMember(blobName(descriptor.digest), descriptor.size, bytes);
      }),
    ];
    await writeArchive(this.#destination, members, signal);
    return content.descriptor;
  }
}

/** Each once: images may share a config. */
function documentsOf(content: ImageOrIndex): ReadonlyMap<Digest, Uint8Array> {
  return new Map([
    [content.descriptor.digest, content.rawManifest],
    ...imagesOf(content).flatMap(({ descriptor, rawManifest, configDescriptor, rawConfig }): [Digest, Uint8Array][] => [
      [descriptor.digest, rawManifest],
      [configDescriptor.digest, rawConfig],
    ]),
  ]);
}

export async function readArchiveIndex(archive: ArchiveFile): Promise<Index> {
  return parseLayoutIndex(await archive.read('index.json', MAX_JSON_BYTES));
}

export interface ArchivedImageOptions extends TransferOptions {
  readonly decompress: Decompress;
}

/** The image of an entry of the archive's index. */
export const readOciArchive = (
  archive: ArchiveFile,
  entry: Descriptor,
  { platform, ...options }: ArchivedImageOptions & { readonly platform: Platform | undefined },
): Promise<Image> => readImage(entry, partsOf(archive, options), platform);

/** All of an entry. */
export const readOciContent = (
  archive: ArchiveFile,
  entry: Descriptor,
  options: ArchivedImageOptions,
): Promise<ImageOrIndex> => readContent(entry, partsOf(archive, options));

function partsOf(archive: ArchiveFile, { decompress, emit }: ArchivedImageOptions): ImageParts {
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
  return { read, layer };
}
