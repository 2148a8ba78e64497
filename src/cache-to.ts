import type { BuildOptions } from './api.ts';
import type { Workspace } from './assembly.ts';
import { parseDestination, sinkFor } from './destinations.ts';
import { BuildError } from './errors.ts';
import { forFormat, type StepResult } from './executor/index.ts';
import { type BuildGraph, isStep, type Node, stepsOf } from './graph/index.ts';
import { portableImage } from './images.ts';
import {
  CACHE_ANNOTATION,
  type CarriedRecord,
  createImage,
  encodeCacheRecords,
  hostPlatform,
  type Image,
  type Layer,
} from './oci/index.ts';

/** By the ids of nodes. */
type Results = ReadonlyMap<string, StepResult>;

interface Kept {
  readonly records: readonly CarriedRecord[];
  readonly layers: readonly Layer[];
}

/** For `--cache-to type=inline`: what the image says about the steps that it was made by. */
export function inlineCache(graph: BuildGraph, results: Results): Readonly<Record<string, string>> {
  return { [CACHE_ANNOTATION]: encodeCacheRecords(keptOf(ownSteps(graph.target), results).records) };
}

/** The steps whose layers the image has, last first. */
function ownSteps(target: Node): readonly Node[] {
  const steps: Node[] = [];
  for (let node: Node | undefined = target; node && isStep(node); node = node.inputs[0]) steps.push(node);
  return steps;
}

function keptOf(steps: readonly Node[], results: Results): Kept {
  const records: CarriedRecord[] = [];
  const layers = new Map<string, Layer>();
  for (const step of steps) {
    const { keys = [], created, hasLayer, chain } = results.get(step.id) ?? { hasLayer: false, chain: [] };
    const top = hasLayer ? chain.at(-1) : undefined;
    if (top) layers.set(top.diffId, top);
    // the layer of a step is described by its tar
    const layer = top ? { layer: { diffId: top.diffId, sizeBytes: top.descriptor.size } } : {};
    if (created !== undefined) records.push(...keys.map((key) => ({ key, created, ...layer })));
  }
  return { records, layers: [...layers.values()] };
}

interface Exporting {
  readonly options: BuildOptions;
  readonly workspace: Workspace;
}

/** Writes the caches that `--cache-to` asks for, beside the image. What goes wrong is a warning: the image is there. */
export async function writeCaches(
  graphs: readonly BuildGraph[],
  results: Results,
  { options, workspace }: Exporting,
): Promise<void> {
  const { cacheTo = [], emit, signal } = options;
  const own = [...new Map(graphs.flatMap(({ target }) => ownSteps(target)).map((step) => [step.id, step])).values()];
  for (const target of cacheTo) {
    if (target.type === 'inline') continue;
    const { destination: text, mode } = target;
    try {
      const image = cacheImage(graphs, keptOf(mode === 'max' ? stepsOf(...graphs) : own, results));
      const destination = parseDestination(text, 'cache');
      if (destination.kind !== 'registry') await workspace.store.bring(image.layers, { signal });
      const ready = await portableImage(image, { workspace, format: 'oci' });
      await sinkFor(destination, { workspace, session: options }).write(ready, destination.ref, { emit, signal });
    } catch (error) {
      if (!(error instanceof BuildError) || error.code === 'E_CANCELLED') throw error;
      const { message, hint } = error;
      emit({ type: 'warning', message: `Cannot write the cache "${text}": ${message}`, ...(hint ? { hint } : {}) });
    }
  }
}

/** Not meant to be run: the layers of steps side by side, and what they are. It has those of all platforms. */
function cacheImage([graph]: readonly BuildGraph[], { records, layers }: Kept): Image {
  return createImage({
    format: 'oci',
    config: {
      ...(graph?.platform ?? hostPlatform()),
      config: {},
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    },
    layers: layers.map((layer) => forFormat(layer, 'oci')),
    annotations: { [CACHE_ANNOTATION]: encodeCacheRecords(records) },
  });
}
