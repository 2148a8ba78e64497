import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import type {
  Delegated,
  Environment,
  ImageSummary,
  PullResult,
  PushResult,
  RegistryAccess,
  SelfCommand,
  SessionOptions,
} from './api.ts';
import { delegate, isRoot, type Workspace, withWorkspace } from './assembly.ts';
import { parseDestination, sinkFor } from './destinations.ts';
import { BuildError } from './errors.ts';
import { forFormat, isInsideNamespace } from './executor/index.ts';
import { decompress, detectCompression } from './layers/index.ts';
import {
  choosePlatform,
  createImage,
  formatReference,
  hostPlatform,
  type Image,
  type ImageFormat,
  isForeignLayer,
  type Layer,
  OCI_MANIFEST,
  type Platform,
  parseLocalName,
  parsePlatform,
  parseReference,
  type Reference,
  withLayers,
} from './oci/index.ts';
import { openArchive } from './store/index.ts';

export interface PullOptions extends SessionOptions, RegistryAccess {
  readonly platform?: string | undefined;
}

export interface PushOptions extends SessionOptions, RegistryAccess {
  readonly self: SelfCommand;
  readonly format?: ImageFormat | undefined;
}

/** Pulls always: the registry's newest. */
export const pull = (name: string, options: PullOptions): Promise<PullResult> =>
  withWorkspace(options, async (workspace) => {
    const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
    const image = await pullImage(name, platform, { workspace, session: options });
    return resultOf(formatReference(parseReference(name)), image);
  });

export interface Sources {
  readonly workspace: Workspace;
  readonly session: SessionOptions & RegistryAccess;
}

/** The registry's newest, kept in the store. */
export async function pullImage(name: string, platform: Platform, { workspace, session }: Sources): Promise<Image> {
  const ref = parseReference(name);
  const { emit, signal } = session;
  const remote = await workspace.registry(session).resolve(ref, platform, { emit, signal });
  await workspace.store.images.write(remote, ref, { emit, signal });
  return workspace.store.images.open(remote.descriptor.digest, platform);
}

/** From the store where it is there for the platform, else from its registry. */
export async function findOrPull(name: string, platform: Platform, sources: Sources): Promise<Image> {
  const { images } = sources.workspace.store;
  const stored = await images.locate(name);
  if (stored) {
    const image = await images.resolve(stored, platform);
    if (choosePlatform([{ platform: image.config }], platform)) return image;
  }
  return pullImage(name, platform, sources);
}

const resultOf = (name: string, image: Image): PullResult => ({
  name,
  imageId: image.configDescriptor.digest,
  manifest: image.descriptor.digest,
});

/** Layers compressed (once: it is remembered) and typed for where the image goes. A pulled image that needs no change stays byte for byte. */
export async function portable(image: Image, workspace: Workspace, format: ImageFormat): Promise<Image> {
  const layers = await Promise.all(
    image.layers.map(async (layer): Promise<Layer> => {
      if (isForeignLayer(layer.descriptor.mediaType)) return layer;
      return forFormat(await workspace.library.compressed(layer, 'gzip'), format);
    }),
  );
  const isSame = layers.every(
    (layer, i) =>
      layer.descriptor.digest === image.layers[i]?.descriptor.digest &&
      layer.descriptor.mediaType === image.layers[i]?.descriptor.mediaType,
  );
  return isSame ? image : withLayers(image, layers, format);
}

export const formatOf = (image: Image): ImageFormat => (image.descriptor.mediaType === OCI_MANIFEST ? 'oci' : 'docker');

/** Layers that RUN left belong to an ordinary user's sub-ids: reading them for the first time needs the namespace. */
async function isUnreadable(image: Image, { store }: Workspace, env: Environment): Promise<boolean> {
  if (isRoot() || isInsideNamespace(env)) return false;
  const hasBlob = async ({ descriptor, diffId }: Layer): Promise<boolean> => {
    const blobs = (await store.layerIndex.get(diffId))?.blobs ?? [];
    const present = await Promise.all([descriptor, ...blobs].map(({ digest }) => store.blobs.has(digest)));
    return present.includes(true);
  };
  return (await Promise.all(image.layers.map(hasBlob))).includes(false);
}

export const push = (
  name: string,
  destination: string | undefined,
  options: PushOptions,
): Promise<PushResult | Delegated> =>
  withWorkspace(options, async (workspace) => {
    const target = parseDestination(destination ?? `docker://${name}`, name);
    const image = await workspace.store.images.find(name);
    if (await isUnreadable(image, workspace, options.env)) return delegate(options);
    const { emit, signal } = options;
    const ready = await portable(image, workspace, options.format ?? formatOf(image));
    const written = await sinkFor(target, { workspace, session: options }).write(ready, target.ref, { emit, signal });
    return { destination: target.text, manifest: written.digest };
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
    const image = await store.images.find(name);
    const tags = (await store.images.tags()).filter((tag) => tag.manifest === image.descriptor.digest);
    return {
      Id: image.configDescriptor.digest,
      Digest: image.descriptor.digest,
      MediaType: image.descriptor.mediaType,
      Names: tags.map((tag) => tag.name),
      Created: image.config.created,
      Author: image.config.author,
      Os: image.config.os,
      Architecture: image.config.architecture,
      Variant: image.config.variant,
      Config: image.config.config ?? {},
      RootFS: { Type: 'layers', Layers: image.config.rootfs.diff_ids },
      Layers: image.layers.map((layer) => layer.descriptor),
      History: image.config.history ?? [],
    };
  });

/** A root filesystem as an image with one layer. `tar` may be compressed (by content). */
export const importRootfs = (
  tar: string,
  name: string,
  options: SessionOptions & { readonly stdin?: AsyncIterable<Uint8Array> | undefined },
): Promise<PullResult> =>
  withWorkspace(options, async (workspace) => {
    const ref = parseLocalName(name);
    const bytes = tar === '-' ? (options.stdin ?? []) : createReadStream(tar);
    const committed = await workspace.library.commitTar(await plainTar(bytes));
    const layer = await workspace.library.find(committed.diffId);
    if (!layer) throw new BuildError('E_CORRUPT_STORE', 'The imported layer vanished from the store');
    const created = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const image = createImage({
      format: 'oci',
      config: {
        ...hostPlatform(),
        created,
        config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['/bin/sh'] },
        rootfs: { type: 'layers', diff_ids: [committed.diffId] },
        history: [{ created, created_by: 'import', comment: 'tsbuild' }],
      },
      layers: [layer],
    });
    await workspace.store.images.write(image, ref, options);
    return resultOf(formatReference(ref), image);
  });

async function plainTar(bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const iterator = (async function* () {
    yield* bytes;
  })();
  const { value: first } = await iterator.next();
  const all = (async function* () {
    if (first) yield first;
    yield* iterator;
  })();
  return decompress(all, detectCompression(first ?? new Uint8Array()));
}

/** An OCI or Docker archive, with all images in it. */
export const load = (
  input: string,
  options: SessionOptions & { readonly stdin?: AsyncIterable<Uint8Array> | undefined },
): Promise<readonly PullResult[]> =>
  withWorkspace(options, async ({ store }) => {
    const source = input === '-' ? (options.stdin ?? emptyBytes()) : resolve(input);
    await using archive = await openArchive({ source, ingest: store.paths.ingest, decompress });
    const results: PullResult[] = [];
    for (const archived of archive.images) {
      const image = await archived.open(undefined, options);
      const names = archived.names.map(archiveName);
      if (names.length === 0) await store.images.add(image, options);
      for (const ref of names) await store.images.write(image, ref, options);
      results.push(resultOf(names.map(formatReference).join(', ') || '<none>', image));
    }
    return results;
  });

/** A name inside an OCI archive may be only a tag. */
const archiveName = (name: string): Reference =>
  /[/:]/.test(name) ? parseLocalName(name) : parseLocalName(`image:${name}`);

async function* emptyBytes(): AsyncIterable<Uint8Array> {}
