import type {
  Delegated,
  Environment,
  ImageSummary,
  PackingOptions,
  PullResult,
  PushResult,
  RegistryAccess,
  SelfCommand,
  SessionOptions,
} from './api.ts';
import { delegate, isRoot, type Workspace, withWorkspace } from './assembly.ts';
import { parseDestination, sinkFor } from './destinations.ts';
import { BuildError, type ErrorCode } from './errors.ts';
import { forFormat, isInsideNamespace } from './executor/index.ts';
import {
  type ByteStream,
  type Compression,
  choosePlatform,
  createIndex,
  digestsOf,
  formatPlatform,
  formatReference,
  hostPlatform,
  type Image,
  type ImageFormat,
  type ImageIndex,
  type ImageOrIndex,
  type ImageSink,
  imagesOf,
  isForeignLayer,
  isImageEntry,
  isImageIndex,
  type Layer,
  layerCompression,
  OCI_INDEX,
  OCI_MANIFEST,
  type Platform,
  parseLocalName,
  parsePlatform,
  parseReference,
  type Reference,
  type TransferOptions,
  type UnfinishedBlob,
  withLayers,
} from './oci/index.ts';

export interface PullOptions extends SessionOptions, RegistryAccess {
  readonly platform?: string | undefined;
}

export interface PushOptions extends SessionOptions, RegistryAccess, PackingOptions {
  readonly self: SelfCommand;
  readonly format?: ImageFormat | undefined;
  /** Of an index only the image for this one. */
  readonly platform?: string | undefined;
}

/** Pulls always: the registry's newest. */
export const pull = (name: string, options: PullOptions): Promise<PullResult> =>
  withWorkspace(options, async (workspace) => {
    const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
    const image = await pullImage(name, platform, { workspace, session: options });
    if (choosePlatform([{ platform: image.config }], platform) === undefined) {
      const message = `"${name}" is for ${formatPlatform(image.config)}, not for ${formatPlatform(platform)}`;
      options.emit({ type: 'warning', message });
    }
    return resultOf(formatReference(parseReference(name)), image);
  });

export interface Sources {
  readonly workspace: Workspace;
  readonly session: SessionOptions & RegistryAccess;
  /** For steps to build on: layers stay in the registry until somebody reads them, and images for other platforms keep the name. */
  readonly isBase?: boolean | undefined;
}

/**
 * The registry's newest, kept in the store. What is there for one platform only is taken as it is, as docker and buildah
 * do (a build's lint and `pull` warn); an index without the platform is `E_NO_PLATFORM`.
 */
export async function pullImage(
  name: string,
  platform: Platform,
  { workspace, session, isBase }: Sources,
): Promise<Image> {
  const ref = parseReference(name);
  const { emit, signal } = session;
  const { images } = workspace.store;
  const remote = await workspace.registry(session).resolve(ref, platform, { emit, signal });
  if (isBase) await images.writeBeside(remote, ref, { emit, signal, missing: ref });
  else await images.write(remote, ref, { emit, signal });
  return workspace.store.images.open(remote.descriptor.digest);
}

const RECOVERABLE: ReadonlySet<ErrorCode> = new Set(['E_NO_PLATFORM', 'E_CORRUPT_STORE', 'E_DIGEST_MISMATCH']);

/** undefined: the store has no image of that name for the platform. */
export async function lookupStored(
  name: string,
  platform: Platform,
  { images }: Workspace['store'],
): Promise<Image | undefined> {
  const stored = await images.locate(name);
  try {
    return stored && (await images.resolve(stored, platform));
  } catch (error) {
    // a registry asked for this text would give another image
    const isOurs = stored !== undefined && formatReference(stored) !== formatReference(parseReference(name));
    if (isOurs && error instanceof BuildError && error.code === 'E_NO_PLATFORM') throw error;
    // What is damaged or lost can be had again where it came from.
    if (error instanceof BuildError && RECOVERABLE.has(error.code)) return undefined;
    throw error;
  }
}

/** From the store where it is there for the platform, else from its registry. */
export const findOrPull = async (name: string, platform: Platform, sources: Sources): Promise<Image> =>
  (await lookupStored(name, platform, sources.workspace.store)) ?? pullImage(name, platform, sources);

/** What the commands that bring an image print. */
export const resultOf = (name: string, content: ImageOrIndex): PullResult => ({
  name,
  imageId: isImageIndex(content) ? content.descriptor.digest : content.configDescriptor.digest,
  manifest: content.descriptor.digest,
});

export interface Portable {
  readonly workspace: Workspace;
  readonly format: ImageFormat;
  readonly packing?: PackingOptions | undefined;
  /** Where a layer goes while it is compressed. */
  readonly begin?: (() => UnfinishedBlob) | undefined;
}

/** To where the image will be written. */
export function beginAt(sink: ImageSink, ref: Reference, options: TransferOptions): Portable['begin'] {
  const begin = sink.begin?.bind(sink);
  return begin && (() => begin(ref, options));
}

async function pack(layer: Layer, compression: Compression, { workspace, begin }: Portable): Promise<Layer> {
  const unfinished = begin?.();
  const watch = unfinished && ((bytes: ByteStream) => unfinished.through(bytes));
  const packed = await workspace.library.compressed(layer, compression, watch);
  await unfinished?.finish(packed.descriptor);
  return packed;
}

/** What is compressed stays as it came, so that a base image is not sent twice; unless the user demands another way. */
function isPacked(
  layer: Layer,
  { format, packing: { compression = 'gzip', forceCompression } = {} }: Portable,
): boolean {
  const actual = layerCompression(layer.descriptor.mediaType);
  // the plain tar of what a RUN left has no blob yet
  if (actual === 'none') return false;
  if (actual === compression) return true;
  return forceCompression !== true && (actual === 'gzip' || (actual === 'zstd' && format === 'oci'));
}

/**
 * Layers compressed (once: it is remembered) and typed for where the image goes. A pulled image that needs no change stays
 * byte for byte. Throws `E_CORRUPT_STORE` where a compressed layer is gone: its exact bytes cannot be made again.
 */
export async function portable(content: ImageOrIndex, options: Portable): Promise<ImageOrIndex> {
  if (!isImageIndex(content)) return portableImage(content, options);
  const images: Image[] = [];
  for (const image of content.images) {
    // attestations are no images, and say something of the bytes that are
    if (isImageEntry({ platform: image.config })) images.push(await portableImage(image, options));
  }
  const before = content.images.filter(({ config }) => isImageEntry({ platform: config }));
  const isSame = images.every(({ descriptor }, i) => descriptor.digest === before[i]?.descriptor.digest);
  return isSame ? content : createIndex(images, options.format);
}

/** The same for one image. */
export async function portableImage(image: Image, options: Portable): Promise<Image> {
  const { workspace, format, packing } = options;
  const layers = await Promise.all(
    image.layers.map(async (layer): Promise<Layer> => {
      if (isForeignLayer(layer.descriptor.mediaType)) return layer;
      const packed = isPacked(layer, options) ? layer : await pack(layer, packing?.compression ?? 'gzip', options);
      await requireBlob(packed, workspace);
      return forFormat(packed, format);
    }),
  );
  const isSame = layers.every(
    (layer, i) =>
      layer.descriptor.digest === image.layers[i]?.descriptor.digest &&
      layer.descriptor.mediaType === image.layers[i]?.descriptor.mediaType,
  );
  return isSame ? image : withLayers(image, layers, format);
}

async function requireBlob({ descriptor }: Layer, { store }: Workspace): Promise<void> {
  if (await store.blobs.has(descriptor.digest)) return;
  throw new BuildError('E_CORRUPT_STORE', `Cannot read the layer ${descriptor.digest}: it is no longer in the store`, {
    hint: 'Pull the base image again (tsbuild pull NAME), or build with --pull',
  });
}

export const formatOf = ({ descriptor: { mediaType } }: ImageOrIndex): ImageFormat =>
  mediaType === OCI_MANIFEST || mediaType === OCI_INDEX ? 'oci' : 'docker';

/** Layers that RUN left belong to an ordinary user's sub-ids: reading them for the first time needs the namespace. */
async function isUnreadable(layers: readonly Layer[], { store }: Workspace, env: Environment): Promise<boolean> {
  if (isRoot() || isInsideNamespace(env)) return false;
  const hasBlob = async ({ descriptor, diffId }: Layer): Promise<boolean> => {
    const record = await store.layerIndex.get(diffId);
    const blobs = [descriptor.digest, ...(record ? digestsOf(record) : [])];
    const present = await Promise.all(blobs.map((digest) => store.blobs.has(digest)));
    return present.includes(true);
  };
  return (await Promise.all(layers.map(hasBlob))).includes(false);
}

export const push = (
  name: string,
  destination: string | undefined,
  options: PushOptions,
): Promise<PushResult | Delegated> =>
  withWorkspace(options, async (workspace) => {
    const target = parseDestination(destination ?? `docker://${name}`, name);
    const content = await contentOf(name, workspace, options.platform);
    if (target.kind === 'docker-archive' && isImageIndex(content)) throw onePlatformOnly(content);
    if (target.kind === 'docker-archive' && options.compression === 'zstd') throw noZstd();
    const layers = imagesOf(content).flatMap((image) => image.layers);
    if (await isUnreadable(layers, workspace, options.env)) return delegate(options);
    const { emit, signal } = options;
    if (target.kind !== 'registry') await workspace.store.bring(layers, { signal });
    const sink = sinkFor(target, { workspace, session: options });
    const format = options.format ?? formatOf(content);
    const begin = beginAt(sink, target.ref, { emit, signal });
    const ready = await portable(content, { workspace, format, packing: options, begin });
    const written = await sink.write(ready, target.ref, { emit, signal });
    return { destination: target.text, manifest: written.digest };
  });

async function contentOf(
  name: string,
  { store: { images } }: Workspace,
  platform: string | undefined,
): Promise<ImageOrIndex> {
  return platform === undefined ? images.findContent(name) : images.find(name, parsePlatform(platform));
}

const noZstd = (): BuildError =>
  new BuildError('E_UNSUPPORTED', 'A Docker archive has no zstd layers', {
    hint: 'Use --compression gzip, or push to oci-archive:FILE',
  });

const onePlatformOnly = ({ images }: ImageIndex): BuildError =>
  new BuildError('E_UNSUPPORTED', 'A Docker archive has no room for images of several platforms', {
    hint: `Choose one with --platform: ${images.map(({ config }) => formatPlatform(config)).join(', ')}; or push to oci-archive:FILE`,
  });

export const listImages = (options: SessionOptions): Promise<readonly ImageSummary[]> =>
  withWorkspace(options, async ({ store }) =>
    (await store.images.list()).map((row) => ({ ...row, name: row.name ?? '<none>' })),
  );

export const tagImage = (source: string, name: string, options: SessionOptions): Promise<string> =>
  withWorkspace(options, async ({ store }) => {
    const ref = parseLocalName(name);
    await store.images.tag(source, ref);
    return formatReference(ref);
  });

/** Returns what was taken away. `force`: names that are not there are no error. */
export const removeImages = (
  names: readonly string[],
  { force }: { readonly force: boolean },
  options: SessionOptions,
): Promise<readonly string[]> =>
  withWorkspace(options, async ({ store }) => {
    const gone: string[] = [];
    for (const name of names) {
      try {
        const { untagged, imageId } = await store.images.remove(name);
        gone.push(...untagged, ...(imageId === undefined ? [] : [imageId]));
      } catch (error) {
        if (!(force && error instanceof BuildError && error.code === 'E_NO_IMAGE')) throw error;
      }
    }
    return gone;
  });

export const inspectImage = (name: string, options: SessionOptions): Promise<object> =>
  withWorkspace(options, async ({ store }) => {
    const content = await store.images.findContent(name);
    const { digest, mediaType } = content.descriptor;
    const tags = (await store.images.tags()).filter((tag) => tag.manifest === digest);
    const names = tags.map((tag) => tag.name);
    if (!isImageIndex(content)) return described(content, names);
    const images = content.images.map((image) => described(image));
    return { Id: digest, Digest: digest, MediaType: mediaType, Names: names, Images: images };
  });

const described = (image: Image, names?: readonly string[]): object => ({
  Id: image.configDescriptor.digest,
  Digest: image.descriptor.digest,
  MediaType: image.descriptor.mediaType,
  ...(names === undefined ? {} : { Names: names }),
  Created: image.config.created,
  Author: image.config.author,
  Os: image.config.os,
  Architecture: image.config.architecture,
  Variant: image.config.variant,
  Config: image.config.config ?? {},
  RootFS: { Type: 'layers', Layers: image.config.rootfs.diff_ids },
  Layers: image.layers.map((layer) => layer.descriptor),
  History: image.config.history ?? [],
});
