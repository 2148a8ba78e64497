import { posix } from 'node:path';
import { BuildError } from '../errors.ts';
import {
  asDigest,
  configType,
  type Descriptor,
  type DiffId,
  type Digest,
  digestFrom,
  digestMismatch,
  digestOf,
  encodeManifest,
  formatReference,
  hexOf,
  type Image,
  type ImageFormat,
  type ImageOrIndex,
  type ImageSink,
  isDigest,
  isImageIndex,
  type Layer,
  layerType,
  MAX_JSON_BYTES,
  manifestType,
  parseConfig,
  parseReference,
  type Reference,
  sha256,
  type TransferOptions,
  verify,
} from '../oci/index.ts';
import type { ArchiveFile } from './archive-file.ts';
import { type ArchiveDestination, bytesMember, fileMember, writeArchive } from './archive-output.ts';
import { type Decompress, layerFromBlob } from './image-reader.ts';
import { metered } from './metered.ts';

/** An entry of manifest.json (moby image/tarexport, `manifestItem`). */
export interface DockerManifestItem {
  readonly Config: string;
  readonly RepoTags: readonly string[];
  readonly Layers: readonly string[];
}

/** `docker-archive:FILE[:name:tag]`, as `docker save` writes it. Layers are in it as the image has them. */
export class DockerArchiveSink implements ImageSink {
  readonly #destination: ArchiveDestination;
  readonly #name: string | undefined;

  /** `name`: a reference; it takes the place of the one that is written. */
  constructor(destination: ArchiveDestination, name?: string) {
    this.#destination = destination;
    this.#name = name;
  }

  async write(image: ImageOrIndex, ref: Reference, { signal, emit }: TransferOptions = {}): Promise<Descriptor> {
    if (isImageIndex(image)) {
      throw new BuildError('E_UNSUPPORTED', 'A Docker archive has no room for images of several platforms', {
        hint: 'Choose one with --platform, or write an OCI archive',
      });
    }
    const named = this.#name === undefined ? ref : parseReference(this.#name);
    const { registry, repository, tag } = named;
    const layerName = (layer: Layer): string => `${hexOf(layer.descriptor.digest)}.tar`;
    const item: DockerManifestItem = {
      Config: `${hexOf(image.configDescriptor.digest)}.json`,
      RepoTags: tag === undefined ? [] : [formatReference({ registry, repository, tag })],
      Layers: image.layers.map(layerName),
    };
    const layers = [...new Map(image.layers.map((layer) => [layerName(layer), layer])).values()];
    const members = [
      bytesMember('manifest.json', Buffer.from(JSON.stringify([item]))),
      bytesMember(item.Config, image.rawConfig),
      ...layers.map((layer) => {
        const { descriptor } = layer;
        const bytes = metered(layer.compressed(signal), descriptor, { direction: 'export', emit });
        return fileMember(layerName(layer), descriptor.size, bytes);
      }),
    ];
    await writeArchive(this.#destination, members, signal);
    return image.descriptor;
  }
}

/** Parses manifest.json. Throws `E_BAD_MANIFEST`. */
export async function readDockerManifest(archive: ArchiveFile): Promise<readonly DockerManifestItem[]> {
  const bad = (cause?: unknown): BuildError =>
    new BuildError('E_BAD_MANIFEST', `Cannot read manifest.json of "${archive.label}"`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(await archive.read('manifest.json', MAX_JSON_BYTES)).toString('utf8'));
  } catch (cause) {
    throw cause instanceof BuildError ? cause : bad(cause);
  }
  if (!Array.isArray(value)) throw bad();
  return value.map((item: Readonly<Partial<Record<string, unknown>>> | null) => {
    const [config, layers, tags] = [item?.Config, item?.Layers ?? [], item?.RepoTags ?? []];
    if (typeof config !== 'string' || !isTexts(layers) || !isTexts(tags)) throw bad();
    return { Config: config, Layers: layers, RepoTags: tags };
  });
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((text) => typeof text === 'string');

/** The image of an item. The archive has no manifest: one is made that describes its bytes as they are. */
export async function readDockerArchive(
  archive: ArchiveFile,
  item: DockerManifestItem,
  { decompress, emit }: TransferOptions & { readonly decompress: Decompress },
): Promise<Image> {
  const rawConfig = await archive.read(item.Config, MAX_JSON_BYTES);
  checkConfigName(item.Config, digestOf(rawConfig));
  const config = parseConfig(rawConfig);
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== item.Layers.length) {
    throw new BuildError(
      'E_BAD_MANIFEST',
      `Cannot read the archive "${archive.label}": layers and diffIDs do not match`,
    );
  }
  const stored = await Promise.all(
    item.Layers.map(async (name) => ({ name, compression: await archive.compression(name) })),
  );
  // Docker's manifests know no zstd.
  const format: ImageFormat = stored.some(({ compression }) => compression === 'zstd') ? 'oci' : 'docker';
  const layers: Layer[] = [];
  for (const [i, diffId] of diffIds.entries()) {
    const { name = '', compression = 'none' } = stored[i] ?? {};
    const mediaType = layerType(format, compression) ?? '';
    const digest = compression === 'none' ? asDigest(diffId) : await digestOfMember(archive, name);
    layers.push(archivedLayer({ archive, name, diffId, descriptor: { mediaType, digest, size: archive.size(name) } }));
  }
  return describe(format, rawConfig, layers);

  function archivedLayer(at: { archive: ArchiveFile; name: string; diffId: DiffId; descriptor: Descriptor }): Layer {
    const open = (descriptor: Descriptor) =>
      metered(verify(at.archive.bytes(at.name), descriptor, `archived layer "${at.name}"`), descriptor, {
        direction: 'load',
        emit,
      });
    return layerFromBlob(at.descriptor, at.diffId, { open, decompress });
  }
}

function describe(format: ImageFormat, rawConfig: Uint8Array, layers: readonly Layer[]): Image {
  const configDescriptor = {
    mediaType: configType(format),
    digest: digestOf(rawConfig),
    size: rawConfig.byteLength,
  };
  const rawManifest = encodeManifest({
    schemaVersion: 2,
    mediaType: manifestType(format),
    config: configDescriptor,
    layers: layers.map((layer) => layer.descriptor),
  });
  return {
    descriptor: { mediaType: manifestType(format), digest: digestOf(rawManifest), size: rawManifest.byteLength },
    rawManifest,
    rawConfig,
    configDescriptor,
    config: parseConfig(rawConfig),
    layers,
  };
}

/** Whoever wrote the archive named the config by its digest; a wrong one means wrong bytes. */
function checkConfigName(name: string, actual: Digest): void {
  const claimed = `sha256:${posix.basename(name).replace(/\.json$/, '')}`;
  if (isDigest(claimed) && claimed !== actual) throw digestMismatch(`archived config "${name}"`, claimed, actual);
}

async function digestOfMember(archive: ArchiveFile, name: string): Promise<Digest> {
  const hash = sha256();
  for await (const chunk of archive.bytes(name)) hash.update(chunk);
  return digestFrom(hash);
}
