import type { Delegated, ImageDifferences, LayerDifference, SelfCommand, SessionOptions } from './api.ts';
import { delegate, isRoot, type Workspace, withWorkspace } from './assembly.ts';
import { isInsideNamespace } from './executor/index.ts';
import { findOrPull } from './images.ts';
import { compareLayers } from './layers/index.ts';
import { bringLocalImage } from './local-images.ts';
import {
  type HistoryEntry,
  hostPlatform,
  type Image,
  type Json,
  jsonDifferences,
  parseImageName,
  parsePlatform,
} from './oci/index.ts';

export interface DiffOptions extends SessionOptions {
  readonly self: SelfCommand;
  readonly platform?: string | undefined;
}

/**
 * Why two images are not the same: configs by member, layers by their files. Names of the store, of registries, or of files
 * and directories (`oci-archive:FILE`).
 */
export async function diffImages(
  one: string,
  other: string,
  options: DiffOptions,
): Promise<ImageDifferences | Delegated> {
  if (!isRoot() && !isInsideNamespace(options.self.env)) return delegate(options);
  return withWorkspace(options, async (workspace) => {
    const [left, right] = [await bring(one, workspace, options), await bring(other, workspace, options)];
    return {
      digests: [left.descriptor.digest, right.descriptor.digest],
      manifest: jsonDifferences(parse(left.rawManifest), parse(right.rawManifest)).filter(
        ({ path }) => !/^(config|layers)\b/.test(path),
      ),
      config: jsonDifferences(parse(left.rawConfig), parse(right.rawConfig)).filter(
        ({ path }) => !path.startsWith('rootfs.'),
      ),
      layers: await layerDifferences(left, right),
    };
  });
}

/** Bytes that were parsed before. */
const parse = (bytes: Uint8Array): Json => JSON.parse(Buffer.from(bytes).toString());

async function bring(name: string, workspace: Workspace, options: DiffOptions): Promise<Image> {
  const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
  const parsed = parseImageName(name);
  const rooms = { workspace, session: options };
  if (parsed.transport !== 'docker') return bringLocalImage(parsed, platform, rooms);
  const { images } = workspace.store;
  return (await images.locate(name)) || /^[0-9a-f]{4,64}$/.test(name)
    ? images.find(name, platform)
    : findOrPull(name, platform, rooms);
}

/** Pairs by position: a build that went another way at one step has the same layers before it. */
async function layerDifferences(one: Image, other: Image): Promise<readonly LayerDifference[]> {
  const found: LayerDifference[] = [];
  const [left, right] = [stepsOf(one), stepsOf(other)];
  for (let index = 0; index < Math.max(one.layers.length, other.layers.length); index++) {
    const [a, b] = [one.layers[index], other.layers[index]];
    if (a && b && a.diffId === b.diffId) continue;
    const createdBy = [left[index], right[index]] as const;
    const diffIds = [a?.diffId, b?.diffId] as const;
    found.push({ index, createdBy, diffIds, files: a && b ? await compareLayers(a, b) : [] });
  }
  return found;
}

/** The instruction of each layer. */
const stepsOf = ({ config }: Image): readonly (string | undefined)[] =>
  (config.history ?? [])
    .filter(({ empty_layer: isEmpty }: HistoryEntry) => !isEmpty)
    .map(({ created_by }) => created_by);
