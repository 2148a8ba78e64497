import { resolve } from 'node:path';
import type { BuildOptions, OutputSpec } from './api.ts';
import { isRoot, type Workspace } from './assembly.ts';
import { BuildError } from './errors.ts';
import { forFormat, isInsideNamespace } from './executor/index.ts';
import { portable } from './images.ts';
import { flattenLayers, type TarMember, unpackTree } from './layers/index.ts';
import { type Image, type ImageFormat, parseLocalName, withLayers } from './oci/index.ts';
import { type ArchiveDestination, DockerArchiveSink, OciArchiveSink, writeArchive } from './store/index.ts';

/** Writes what `-o` asks for; the image is in the store already. */
export async function writeOutputs(image: Image, options: BuildOptions, workspace: Workspace): Promise<void> {
  for (const output of options.outputs) await writeOutput(image, output, { options, workspace });
}

interface OutputRooms {
  readonly options: BuildOptions;
  readonly workspace: Workspace;
}

async function writeOutput(image: Image, output: OutputSpec, { options, workspace }: OutputRooms): Promise<void> {
  const { emit, signal } = options;
  const ref = parseLocalName(options.tags[0] ?? 'image');
  const destination = destinationOf(output, options);
  switch (output.type) {
    case 'oci': {
      const ready = await portable(image, workspace, options.format);
      await new OciArchiveSink(destination).write(ready, ref, { emit, signal });
      return;
    }
    case 'docker':
      await new DockerArchiveSink(destination).write(asDocker(image), ref, { emit, signal });
      return;
    case 'tar':
      await writeArchive(destination, members(image), signal);
      return;
    case 'local':
      await unpackTree(flattenLayers(image.layers), resolve(output.dest), {
        workers: workspace.workers,
        owner:
          isRoot() && !isInsideNamespace(options.self.env)
            ? undefined
            : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
      });
      return;
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

async function* members(image: Image): AsyncIterable<TarMember> {
  for await (const { entry, body } of flattenLayers(image.layers)) {
    yield entry.type === 'file' ? { entry, body } : { entry };
  }
}
