import { resolve } from 'node:path';
import type { BuildOptions, OutputSpec } from './api.ts';
import { isRoot, type Workspace } from './assembly.ts';
import { parseDestination, sinkFor } from './destinations.ts';
import { BuildError } from './errors.ts';
import { forFormat, isInsideNamespace } from './executor/index.ts';
import { beginAt, portable } from './images.ts';
import { unpackTree } from './layers/index.ts';
import {
  type Descriptor,
  type Image,
  type ImageFormat,
  type MtimeRule,
  parseLocalName,
  withLayers,
} from './oci/index.ts';
import { flatEntries, flatMembers } from './squash.ts';
import { type ArchiveDestination, DockerArchiveSink, OciArchiveSink, writeArchive } from './store/index.ts';

export interface OutputRooms {
  readonly options: BuildOptions;
  readonly workspace: Workspace;
  readonly mtimeRule: MtimeRule | undefined;
}

/**
 * Writes what `-o` and `--push` ask for; the image is in the store already. Returns the manifest as it was pushed, else as
 * it is in the last OCI archive, else as the store has it.
 */
export async function writeOutputs(image: Image, rooms: OutputRooms): Promise<Descriptor> {
  let written = image.descriptor;
  for (const output of rooms.options.outputs) written = (await writeOutput(image, output, rooms)) ?? written;
  return (await pushTags(image, rooms)) ?? written;
}

async function pushTags(image: Image, { options, workspace }: OutputRooms): Promise<Descriptor | undefined> {
  const { push, tags, format, emit, signal } = options;
  if (!push) return undefined;
  const targets = tags.map((tag) => parseDestination(`docker://${tag}`, tag));
  const [first] = targets;
  if (!first) return undefined;
  const sink = sinkFor(first, { workspace, session: options });
  const ready = await portable(image, { workspace, format, begin: beginAt(sink, first.ref, { emit, signal }) });
  for (const { ref } of targets) await sink.write(ready, ref, { emit, signal });
  return ready.descriptor;
}

async function writeOutput(
  image: Image,
  output: OutputSpec,
  { options, workspace, mtimeRule }: OutputRooms,
): Promise<Descriptor | undefined> {
  const { emit, signal } = options;
  const ref = parseLocalName(options.tags[0] ?? 'image');
  const destination = destinationOf(output, options);
  // SOURCE_DATE_EPOCH is about what a build adds; the base's files keep their times
  const forced = mtimeRule?.applies === 'all' ? mtimeRule : undefined;
  await workspace.store.bring(image.layers, { signal });
  switch (output.type) {
    case 'oci': {
      const ready = await portable(image, { workspace, format: options.format });
      await new OciArchiveSink(destination).write(ready, ref, { emit, signal });
      return ready.descriptor;
    }
    case 'docker':
      await new DockerArchiveSink(destination).write(asDocker(image), ref, { emit, signal });
      return undefined;
    case 'tar':
      await writeArchive(destination, flatMembers(image, forced), signal);
      return undefined;
    case 'local':
      await unpackTree(flatEntries(image, forced), resolve(output.dest), {
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

function asDocker(image: Image): Image {
  const format: ImageFormat = 'docker';
  return withLayers(
    image,
    image.layers.map((layer) => forFormat(layer, format)),
    format,
  );
}
