import { BuildError } from '../errors.ts';
import type { BuildGraph } from '../graph/index.ts';
import {
  createImage,
  type HistoryEntry,
  type Image,
  type ImageConfig,
  type ImageFormat,
  isForeignLayer,
  type Layer,
  layerCompression,
  layerType,
} from '../oci/index.ts';
import type { StepResult } from './executor.ts';

export interface AssembleOptions {
  readonly format: ImageFormat;
  /** Seconds since 1970: `created` of the image and of what it adds to the history. */
  readonly fixedTime?: number | undefined;
  /** Adds the annotation `org.opencontainers.image.created`. */
  readonly createdAnnotation?: boolean | undefined;
  /** Beside those of the graph. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** OCI image-spec annotations.md. */
const CREATED = 'org.opencontainers.image.created';

const rfc3339 = (seconds: number): string => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');

/** The final image: config computed anew, times from when the layers were made, so that a cached build gives equal bytes. */
export function assembleImage(
  graph: BuildGraph,
  results: ReadonlyMap<string, StepResult>,
  { format, fixedTime, createdAnnotation, annotations: more }: AssembleOptions,
): Image {
  const target = results.get(graph.target.id);
  if (!target) throw new BuildError('E_INTERNAL', 'The target was not built');
  const fixed = fixedTime === undefined ? undefined : rfc3339(fixedTime);
  let created = fixed ?? graph.baseCreated;
  const ours: HistoryEntry[] = graph.history.map(({ entry, node }) => {
    const result = node === undefined ? undefined : results.get(node);
    if (result?.created !== undefined) created = fixed ?? later(created, result.created);
    const isEmpty = !result?.hasLayer;
    return { ...(created === undefined ? {} : { created }), ...entry, ...(isEmpty ? { empty_layer: true } : {}) };
  });
  const newLayers = ours.filter((entry) => !entry.empty_layer).length;
  const config: ImageConfig = {
    ...graph.platform,
    created: created ?? rfc3339(0),
    ...(graph.author === undefined ? {} : { author: graph.author }),
    config: graph.config,
    rootfs: { type: 'layers', diff_ids: target.chain.map((layer) => layer.diffId) },
    history: [...completeHistory(graph.baseHistory, target.chain.length - newLayers), ...ours],
  };
  const annotations = {
    ...graph.annotations,
    ...more,
    ...(createdAnnotation && config.created !== undefined ? { [CREATED]: config.created } : {}),
  };
  return createImage({ format, config, layers: target.chain.map((layer) => forFormat(layer, format)), annotations });
}

const later = (a: string | undefined, b: string): string => (a !== undefined && Date.parse(a) > Date.parse(b) ? a : b);

/** Non-empty entries must be as many as layers (OCI config.md); a base that has too few gets the missing ones. */
function completeHistory(base: readonly HistoryEntry[], layers: number): HistoryEntry[] {
  const missing = layers - base.filter((entry) => !entry.empty_layer).length;
  const filler = Array.from(
    { length: Math.max(0, missing) },
    (): HistoryEntry => ({ comment: 'layer of the base image' }),
  );
  return [...base, ...filler];
}

/** The same bytes under the format's media type; what nobody may redistribute keeps its own. Throws `E_UNSUPPORTED` for zstd in Docker schema 2. */
export function forFormat(layer: Layer, format: ImageFormat): Layer {
  if (isForeignLayer(layer.descriptor.mediaType)) return layer;
  const compression = layerCompression(layer.descriptor.mediaType) ?? 'none';
  const mediaType = layerType(format, compression);
  if (mediaType === undefined) {
    throw new BuildError('E_UNSUPPORTED', `The Docker format has no ${compression} layers`, {
      hint: 'Use --format oci, or a base image with gzip layers',
    });
  }
  if (mediaType === layer.descriptor.mediaType) return layer;
  return {
    descriptor: { ...layer.descriptor, mediaType },
    diffId: layer.diffId,
    compressed: (signal) => layer.compressed(signal),
    uncompressed: (signal) => layer.uncompressed(signal),
  };
}
