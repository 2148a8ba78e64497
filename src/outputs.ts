import { resolve } from 'node:path';
import type { BuildOptions, OutputSpec } from './api.ts';
import { isRoot, type Workspace } from './assembly.ts';
import { parseDestination, sinkFor } from './destinations.ts';
import { BuildError } from './errors.ts';
import { forFormat, isInsideNamespace } from './executor/index.ts';
import { beginAt, portable } from './images.ts';
import { type FlatEntry, unpackTree } from './layers/index.ts';
import {
  type Descriptor,
  type Image,
  type ImageFormat,
  type ImageOrIndex,
  isImageIndex,
  type MtimeRule,
  parseLocalName,
  withLayers,
} from './oci/index.ts';
import { directoryFor } from './platforms.ts';
import { flatEntries, inDirectory, membersOf } from './squash.ts';
import { type ArchiveDestination, DockerArchiveSink, OciArchiveSink, writeArchive } from './store/index.ts';

export interface BuiltImages {
  /** What the name stands for. */
  readonly content: ImageOrIndex;
  /** By the platforms that were asked for (`formatPlatform`). */
  readonly images: ReadonlyMap<string, Image>;
}

export interface OutputRooms {
  readonly options: BuildOptions;
  readonly workspace: Workspace;
  readonly mtimeRule: MtimeRule | undefined;
}

/**
 * Writes what `-o` and `--push` ask for; the image is in the store already. Returns the manifest as it was pushed, else as
 * it is in the last OCI archive, else as the store has it.
 */
export async function writeOutputs(built: BuiltImages, rooms: OutputRooms): Promise<Descriptor> {
  let written = built.content.descriptor;
  for (const output of rooms.options.outputs) written = (await writeOutput(built, output, rooms)) ?? written;
  return (await pushTags(built, rooms)) ?? written;
}

async function pushTags(
  { content }: BuiltImages,
  { options, workspace }: OutputRooms,
): Promise<Descriptor | undefined> {
  const { push, tags, format, emit, signal } = options;
  if (!push) return undefined;
  const targets = tags.map((tag) => parseDestination(`docker://${tag}`, tag));
  const [first] = targets;
  if (!first) return undefined;
  const sink = sinkFor(first, { workspace, session: options });
  const begin = beginAt(sink, first.ref, { emit, signal });
  const ready = await portable(content, { workspace, format, packing: options, begin });
  for (const { ref } of targets) await sink.write(ready, ref, { emit, signal });
  return ready.descriptor;
}

async function writeOutput(
  { content, images }: BuiltImages,
  output: OutputSpec,
  { options, workspace, mtimeRule }: OutputRooms,
): Promise<Descriptor | undefined> {
  const { emit, signal } = options;
  const ref = parseLocalName(options.tags[0] ?? 'image');
  const destination = destinationOf(output, options);
  // SOURCE_DATE_EPOCH is about what a build adds; the base's files keep their times
  const forced = mtimeRule?.applies === 'all' ? mtimeRule : undefined;
  const layers = [...images.values()].flatMap((image) => image.layers);
  await workspace.store.bring(layers, { signal });
  switch (output.type) {
    case 'oci': {
      const packing = output.packing ?? options;
      const ready = await portable(content, { workspace, format: options.format, packing });
      await new OciArchiveSink(destination).write(ready, ref, { emit, signal });
      return ready.descriptor;
    }
    case 'docker':
      await new DockerArchiveSink(destination).write(asDocker(content), ref, { emit, signal });
      return undefined;
    case 'tar':
      await writeArchive(destination, membersOf(treesOf(images, forced)), signal);
      return undefined;
    case 'local':
      await unpackTree(treesOf(images, forced), resolve(output.dest), {
        workers: workspace.workers,
        owner:
          isRoot() && !isInsideNamespace(options.self.env)
            ? undefined
            : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
      });
      return undefined;
    default:
      throw output satisfies never;
  }
}

function destinationOf({ dest }: OutputSpec, { stdout }: BuildOptions): ArchiveDestination {
  if (dest !== '-') return resolve(dest);
  if (!stdout)
    throw new BuildError('E_USAGE', 'Cannot write to standard output here', { hint: 'Name a file: dest=FILE' });
  return stdout;
}

/** The root filesystem; of several platforms each in a directory of its own, as with BuildKit. */
async function* treesOf(images: BuiltImages['images'], rule: MtimeRule | undefined): AsyncIterable<FlatEntry> {
  for (const [platform, image] of images) {
    const entries = flatEntries(image, rule);
    yield* images.size === 1 ? entries : inDirectory(directoryFor(platform), entries);
  }
}

/** An index is refused by what it would be written to. */
function asDocker(image: ImageOrIndex): ImageOrIndex {
  if (isImageIndex(image)) return image;
  const format: ImageFormat = 'docker';
  return withLayers(
    image,
    image.layers.map((layer) => forFormat(layer, format)),
    format,
  );
}
