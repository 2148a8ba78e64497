import { BuildError } from '../errors.ts';
import {
  asDigest,
  type ByteStream,
  type Compression,
  choosePlatform,
  type Descriptor,
  type DiffId,
  type Digest,
  formatPlatform,
  type Image,
  type ImageIndex,
  type ImageOrIndex,
  isImageEntry,
  isImageIndex,
  isIndexDocument,
  isManifest,
  type Layer,
  layerCompression,
  type Platform,
  parseConfig,
  parseManifest,
  verifyDiffId,
} from '../oci/index.ts';

/** Turns stored layer bytes into the tar. Given by src/layers; throws `E_BAD_LAYER` for damaged bytes. */
export type Decompress = (bytes: ByteStream, compression: Compression) => ByteStream;

/** Where an image's parts lie: the store, a layout directory, an archive. */
export interface ImageParts {
  /** Small blobs, verified. */
  read(digest: Digest): Promise<Uint8Array>;
  layer(descriptor: Descriptor, diffId: DiffId): Layer;
}

/**
 * Follows `root` (a manifest, or an index from which `platform` is chosen) to an image. Without a platform an index must
 * have one image only. Throws `E_NO_PLATFORM`, `E_BAD_MANIFEST`.
 */
export async function readImage(root: Descriptor, parts: ImageParts, platform?: Platform): Promise<Image> {
  let descriptor = root;
  // An index may hold indexes; nobody nests deeper.
  for (let depth = 0; depth < 4; depth++) {
    const raw = await parts.read(descriptor.digest);
    const document = parseManifest(raw, descriptor.mediaType);
    if (!isIndexDocument(document)) return assembleImage(raw, descriptor, parts, platform);
    descriptor = chooseEntry(document.manifests, platform);
  }
  throw new BuildError('E_BAD_MANIFEST', `Cannot read the index ${root.digest}: indexes within indexes`);
}

/** Each is in memory with its manifest and config; no index that anybody uses has as many. */
const MOST_IMAGES = 100;

/**
 * All that `root` names: an image, or an index with its images. An index of one image, with or without attestations, is that
 * image. Throws as `readImage` does.
 */
export async function readContent(root: Descriptor, parts: ImageParts): Promise<ImageOrIndex> {
  const rawManifest = await parts.read(root.digest);
  const document = parseManifest(rawManifest, root.mediaType);
  if (!isIndexDocument(document)) return assembleImage(rawManifest, root, parts, undefined);
  const { mediaType, manifests } = document;
  if (manifests.filter(isImageEntry).length === 1) return readImage(root, parts);
  if (manifests.length > MOST_IMAGES) {
    throw new BuildError('E_BAD_MANIFEST', `Cannot read the index ${root.digest}: more than ${MOST_IMAGES} images`);
  }
  const known = new Map<Digest, Image>();
  const images: Image[] = [];
  for (const entry of manifests) {
    const image = known.get(entry.digest) ?? (await readImage(entry, parts));
    known.set(entry.digest, image);
    images.push(image);
  }
  return { descriptor: { mediaType, digest: root.digest, size: rawManifest.byteLength }, rawManifest, images };
}

/** The image for the platform; one that is there alone is taken as it is. Throws `E_NO_PLATFORM`. */
export function chooseImage(content: ImageOrIndex, platform: Platform | undefined): Image {
  if (!isImageIndex(content)) return content;
  const entries = entriesOf(content);
  const image = content.images[entries.indexOf(chooseEntry(entries, platform))];
  if (image) return image;
  throw new BuildError('E_INTERNAL', `The index ${content.descriptor.digest} has lost an image`);
}

function entriesOf({ rawManifest, descriptor }: ImageIndex): readonly Descriptor[] {
  const document = parseManifest(rawManifest, descriptor.mediaType);
  return isIndexDocument(document) ? document.manifests : [];
}

function chooseEntry(all: readonly Descriptor[], platform: Platform | undefined): Descriptor {
  const entries = all.filter(isImageEntry);
  const only = entries.length === 1 ? entries[0] : undefined;
  if (only && (!platform || !only.platform)) return only;
  const chosen = platform && choosePlatform(entries, platform);
  if (chosen) return chosen;
  const there = entries.flatMap((entry) => (entry.platform ? [formatPlatform(entry.platform)] : []));
  const what = platform ? `no image for ${formatPlatform(platform)}` : 'several images';
  throw new BuildError('E_NO_PLATFORM', `Cannot choose from the index: ${what}`, {
    hint: there.length === 0 ? undefined : `Choose one with --platform: ${there.join(', ')}`,
  });
}

async function assembleImage(
  rawManifest: Uint8Array,
  source: Descriptor,
  parts: ImageParts,
  platform: Platform | undefined,
): Promise<Image> {
  const manifest = parseManifest(rawManifest, source.mediaType);
  if (isIndexDocument(manifest)) throw new BuildError('E_BAD_MANIFEST', 'Cannot read the manifest: it is an index');
  const rawConfig = await parts.read(manifest.config.digest);
  const config = parseConfig(rawConfig);
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== manifest.layers.length) {
    throw new BuildError('E_BAD_MANIFEST', `Cannot read the image ${source.digest}: layers and diffIDs do not match`, {
      fields: { layers: manifest.layers.length, diffIds: diffIds.length },
    });
  }
  requirePlatform(config, platform);
  const mediaType = isManifest(source.mediaType) ? source.mediaType : manifest.mediaType;
  return {
    descriptor: { mediaType, digest: source.digest, size: rawManifest.byteLength },
    rawManifest,
    rawConfig,
    configDescriptor: manifest.config,
    config,
    layers: manifest.layers.flatMap((descriptor, i) => {
      const diffId = diffIds[i];
      return diffId === undefined ? [] : [parts.layer(descriptor, diffId)];
    }),
  };
}

/** Throws `E_NO_PLATFORM` for an image of another platform. */
export function requirePlatform(config: Platform, platform: Platform | undefined): void {
  if (!platform || choosePlatform([{ platform: config }], platform)) return;
  throw new BuildError(
    'E_NO_PLATFORM',
    `The image is for ${formatPlatform(config)}, not for ${formatPlatform(platform)}`,
    {
      hint: `Use an image for ${formatPlatform(platform)}, or take this one with --platform ${formatPlatform(config)}`,
    },
  );
}

/** The compression of a layer, or `E_BAD_LAYER` for something that is no layer (an artefact). */
export function compressionOf(descriptor: Descriptor): Compression {
  const compression = layerCompression(descriptor.mediaType);
  if (compression !== undefined) return compression;
  throw new BuildError('E_BAD_LAYER', `Unsupported layer type "${descriptor.mediaType}"`, {
    hint: 'Only tar layers, plain or compressed with gzip or zstd, are supported',
  });
}

/** A layer whose stored bytes `open` gives, verified. */
export function layerFromBlob(
  descriptor: Descriptor,
  diffId: DiffId,
  { open, decompress }: { open(descriptor: Descriptor): ByteStream; decompress: Decompress },
): Layer {
  return {
    descriptor,
    diffId,
    compressed: () => open(descriptor),
    uncompressed: async function* () {
      const compression = compressionOf(descriptor);
      const bytes = open(descriptor);
      // verified against the same digest already
      if (compression === 'none' && descriptor.digest === asDigest(diffId)) yield* bytes;
      else yield* verifyDiffId(compression === 'none' ? bytes : decompress(bytes, compression), diffId);
    },
  };
}
