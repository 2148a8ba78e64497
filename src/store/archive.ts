import { BuildError } from '../errors.ts';
import {
  formatReference,
  type Image,
  type ImageOrIndex,
  type ImageSource,
  type Platform,
  parseReference,
  type Reference,
  type TransferOptions,
} from '../oci/index.ts';
import { ArchiveFile, type ArchiveInput } from './archive-file.ts';
import { readDockerArchive, readDockerManifest } from './docker-archive.ts';
import { requirePlatform } from './image-reader.ts';
import { chooseFromIndex, entryNames } from './layout-index.ts';
import { readArchiveIndex, readOciArchive, readOciContent } from './oci-archive.ts';

export type ArchiveKind = 'oci' | 'docker';

export interface OpenArchiveOptions extends ArchiveInput {
  /** Absent: told by what is in it; an archive that is both (`docker save` from 25 on) is read as OCI. */
  readonly kind?: ArchiveKind | undefined;
  /** Which image `resolve` gives, as in `oci-archive:FILE:name`. Absent: the only one. */
  readonly name?: string | undefined;
}

export interface ArchivedImage {
  /** As they stand in the archive, the most complete first; maybe none. */
  readonly names: readonly string[];
  open(platform: Platform | undefined, options?: TransferOptions): Promise<Image>;
  /** All of an index. */
  content(options?: TransferOptions): Promise<ImageOrIndex>;
}

/** An image archive; its images stream from it until it is disposed. */
export interface ImageArchive extends ImageSource, AsyncDisposable {
  readonly kind: ArchiveKind;
  readonly images: readonly ArchivedImage[];
}

/** Opens an OCI or Docker archive: a file or standard input, plain or compressed. Throws `E_BAD_MANIFEST`, `E_BAD_LAYER`. */
export async function openArchive(options: OpenArchiveOptions): Promise<ImageArchive> {
  const file = await ArchiveFile.open(options);
  try {
    return await (kindOf(file, options.kind) === 'oci' ? ociArchive(file, options) : dockerArchive(file, options));
  } catch (error) {
    await file[Symbol.asyncDispose]();
    throw error;
  }
}

function kindOf(file: ArchiveFile, wanted: ArchiveKind | undefined): ArchiveKind {
  if (wanted !== 'docker' && file.has('index.json') && file.has('oci-layout')) return 'oci';
  if (wanted !== 'oci' && file.has('manifest.json')) return 'docker';
  const what = { oci: 'an OCI archive', docker: 'a Docker archive' };
  const name = wanted ? what[wanted] : `neither ${what.oci} nor ${what.docker}`;
  throw new BuildError('E_BAD_MANIFEST', `Cannot read "${file.label}": it is ${wanted ? `not ${name}` : name}`, {
    hint: 'An OCI archive has index.json and oci-layout, a Docker archive manifest.json, at its top',
  });
}

async function ociArchive(file: ArchiveFile, { decompress, name }: OpenArchiveOptions): Promise<ImageArchive> {
  const index = await readArchiveIndex(file);
  return {
    kind: 'oci',
    images: index.manifests.map((entry) => ({
      names: entryNames(entry),
      open: (platform, options) => readOciArchive(file, entry, { ...options, decompress, platform }),
      content: (options) => readOciContent(file, entry, { ...options, decompress }),
    })),
    resolve: (_ref, platform, options) => {
      const entry = chooseFromIndex(index, { name, platform, where: file.label });
      return readOciArchive(file, entry, { ...options, decompress, platform });
    },
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

async function dockerArchive(file: ArchiveFile, { decompress, name }: OpenArchiveOptions): Promise<ImageArchive> {
  const images = (await readDockerManifest(file)).map(
    (item): ArchivedImage => ({
      names: item.RepoTags,
      open: async (platform, options) => {
        const image = await readDockerArchive(file, item, { ...options, decompress });
        requirePlatform(image.config, platform);
        return image;
      },
      content: (options) => readDockerArchive(file, item, { ...options, decompress }),
    }),
  );
  return {
    kind: 'docker',
    images,
    resolve: async (_ref: Reference, platform, options) => choose(images, name, file.label).open(platform, options),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

function choose(images: readonly ArchivedImage[], name: string | undefined, where: string): ArchivedImage {
  const wanted = name === undefined ? undefined : formatReference(parseReference(name));
  const matches = images.filter(
    (image) => wanted === undefined || image.names.some((tag) => normalized(tag) === wanted),
  );
  const [only, ...others] = matches;
  if (only && others.length === 0) return only;
  const names = images.flatMap((image) => image.names);
  const what = only ? 'several images' : name === undefined ? 'no image' : `no image "${name}"`;
  throw new BuildError('E_NO_IMAGE', `Cannot choose an image: ${what} in "${where}"`, {
    hint: names.length === 0 ? undefined : `Choose one of: ${names.join(', ')}`,
  });
}

/** A tag in an archive may be anything; what is no reference is compared as it stands. */
function normalized(tag: string): string {
  try {
    return formatReference(parseReference(tag));
  } catch {
    return tag;
  }
}
