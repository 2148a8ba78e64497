import type { BuildOptions, Environment } from './api.ts';
import type { Workspace } from './assembly.ts';
import { BuildError } from './errors.ts';
import { bringLocalImage } from './local-images.ts';
import {
  cacheRecordsOf,
  type Digest,
  type Image,
  type Platform,
  parseDigest,
  parseImageName,
  parseReference,
} from './oci/index.ts';
import { type CarriedCache, ImportedCache } from './store/index.ts';

/** What `--cache-from` brought. */
export interface CacheFrom {
  /** The cache of this build. */
  readonly cache: ImportedCache;
  /** For the run inside the namespace: the images that were found. */
  readonly handOver: () => Environment;
}

interface Importing {
  readonly options: BuildOptions;
  readonly workspace: Workspace;
  readonly platforms: readonly Platform[];
}

/** Set for the run inside the namespace, which asks no registry again. */
const CACHE_IMAGES = 'TSBUILD_CACHE_IMAGES';

interface Warning {
  readonly message: string;
  readonly hint?: string | undefined;
}

interface Found {
  readonly images: readonly (readonly [source: string, manifest: Digest])[];
  /** What the run outside says is not shown where another one follows inside. */
  readonly warnings: readonly Warning[];
}

/**
 * Finds the images that `--cache-from` names, the newest of their registries, and what they say about steps. Their layers are
 * fetched when a step needs them. A cache that is not there, or says nothing, costs a warning and no build.
 */
export async function openCacheFrom(importing: Importing): Promise<CacheFrom> {
  const { options, workspace } = importing;
  const { store, library } = workspace;
  const found = foundBefore(options.env) ?? (await findImages(importing));
  const caches: CarriedCache[] = [];
  for (const [source, manifest] of found.images) {
    const records = cacheRecordsOf(await store.images.open(manifest)) ?? [];
    for (const { layer } of records) if (layer) await store.layerIndex.addSize(layer.diffId, layer.sizeBytes);
    caches.push({ source, records });
  }
  for (const { message, hint } of found.warnings) options.emit({ type: 'warning', message, ...(hint ? { hint } : {}) });
  return {
    cache: new ImportedCache(store.cache, library, caches),
    handOver: () => ({ [CACHE_IMAGES]: JSON.stringify(found) }),
  };
}

function foundBefore(env: Environment): Found | undefined {
  const text = env[CACHE_IMAGES];
  if (text === undefined) return undefined;
  const { images, warnings }: Found = JSON.parse(text); // written by `handOver`
  return { images: images.map(([source, digest]) => [source, parseDigest(digest)]), warnings };
}

async function findImages(importing: Importing): Promise<Found> {
  const { cacheFrom = [], noCache } = importing.options;
  const found = await Promise.all((noCache ? [] : cacheFrom).map((source) => findSource(source, importing)));
  return { images: found.flatMap(({ images }) => images), warnings: found.flatMap(({ warnings }) => warnings) };
}

/** An index has a cache for each platform; an image of one may be the cache of all. */
async function findSource(source: string, importing: Importing): Promise<Found> {
  const images = new Map<Digest, Found['images'][number]>();
  const warnings = new Map<string, Warning>();
  for (const platform of importing.platforms) {
    const answer = await findImage(source, platform, importing);
    if ('message' in answer) warnings.set(answer.message, answer);
    else images.set(answer.image[1], answer.image);
  }
  return { images: [...images.values()], warnings: images.size > 0 ? [] : [...warnings.values()] };
}

async function findImage(
  source: string,
  platform: Platform,
  importing: Importing,
): Promise<Warning | { readonly image: Found['images'][number] }> {
  try {
    const image = await bring(source, platform, importing);
    if (cacheRecordsOf(image) !== undefined) return { image: [source, image.descriptor.digest] };
    return {
      message: `"${source}" is no cache: it does not say what its layers were made from`,
      hint: 'Push it with --cache-to type=inline, or push a cache of its own with --cache-to NAME',
    };
  } catch (error) {
    if (!(error instanceof BuildError) || error.code === 'E_CANCELLED') throw error;
    return { message: `Cannot use "${source}" as a cache: ${error.message}`, hint: error.hint };
  }
}

async function bring(source: string, platform: Platform, { options, workspace }: Importing): Promise<Image> {
  const name = parseImageName(source);
  if (name.transport !== 'docker') return bringLocalImage(name, platform, { workspace, session: options });
  const { emit, signal } = options;
  const { images } = workspace.store;
  const ref = parseReference(name.reference);
  const remote = await workspace.registry(options).resolve(ref, platform, { emit, signal });
  await images.add(remote, { emit, signal, missing: ref });
  return images.open(remote.descriptor.digest);
}
