import { join } from 'node:path';
import { type CacheRecord, type DiffId, type Digest, digestsOf, hexOf, type LayerIndex } from '../oci/index.ts';
import type { DiskContentStore } from './blobs.ts';
import type { CacheCosts } from './gc-select.ts';
import { idOf, layersOf, type StoredRecord } from './image-records.ts';
import type { StorePaths } from './paths.ts';
import { namesIn } from './state-file.ts';

/** Bytes on disk of a path of the state directory; 0: nothing is there. */
export type MeasurePath = (path: string) => Promise<number>;

export interface UsageParts {
  readonly paths: StorePaths;
  readonly blobs: DiskContentStore;
  readonly layerIndex: LayerIndex;
  readonly measure: MeasurePath;
}

/** What the images need in any case, with the caches of RUN steps, and what each cached layer takes beside that. */
export async function measureUsage(
  parts: UsageParts,
  { images, cached }: { readonly images: readonly StoredRecord[]; readonly cached: readonly CacheRecord[] },
): Promise<CacheCosts> {
  const needed = new Set<DiffId>(images.flatMap(layersOf).map(({ diffId }) => diffId));
  const others = new Set(cached.flatMap(({ layer }) => layer?.diffId ?? []).filter((diffId) => !needed.has(diffId)));
  let fixedBytes = await parts.measure(parts.paths.cacheMounts);
  // of one that is made of another layer's tar that tar is counted with the other
  const counted: ReadonlySet<string> = new Set([...needed, ...others]);
  for (const diffId of needed) fixedBytes += await bytesOfLayer(diffId, counted, parts);
  for (const digest of new Set(images.flatMap((image) => [image.manifest.digest, idOf(image)]))) {
    fixedBytes += await bytesOfBlob(digest, parts);
  }
  const bytes = new Map<DiffId, number>();
  for (const diffId of others) bytes.set(diffId, await bytesOfLayer(diffId, counted, parts));
  return { fixedBytes, bytesOf: (diffId) => bytes.get(diffId) ?? 0 };
}

/** In all its forms. */
async function bytesOfLayer(diffId: DiffId, counted: ReadonlySet<string>, parts: UsageParts): Promise<number> {
  const record = await parts.layerIndex.get(diffId);
  const base = record?.patch?.base.digest ?? '';
  const digests = (record ? digestsOf(record) : []).filter((digest) => digest !== base || !counted.has(base));
  const sizes = await Promise.all(digests.map((digest) => bytesOfBlob(digest, parts)));
  const directory = await parts.measure(join(parts.paths.layers, hexOf(diffId)));
  const index = await parts.measure(join(parts.paths.tarIndex, hexOf(diffId)));
  return sizes.reduce((sum, size) => sum + size, directory + index);
}

const bytesOfBlob = async (digest: Digest, { blobs }: UsageParts): Promise<number> =>
  ((await blobs.stat(digest))?.blocks ?? 0) * 512;

/** One line of `tsbuild store df`. */
export interface UsageLine {
  readonly what: string;
  readonly count: number;
  /** On disk. */
  readonly bytes: number;
}

/** What lies in the state directory. Nothing is counted twice, so the lines add up. */
export async function listUsage({
  paths,
  measure,
}: Pick<UsageParts, 'paths' | 'measure'>): Promise<readonly UsageLine[]> {
  const lines = KINDS.map(async ({ what, directories }): Promise<UsageLine> => {
    const found = directories.map((name) => paths[name]);
    const bytes = await Promise.all(found.map(measure));
    const names = await namesIn(found[0] ?? '');
    return {
      what,
      count: names.filter((name) => !name.endsWith('.lock')).length,
      bytes: bytes.reduce((sum, size) => sum + size, 0),
    };
  });
  return Promise.all(lines);
}

/** The first directory is the one whose names are counted. */
const KINDS: readonly { readonly what: string; readonly directories: readonly (keyof StorePaths)[] }[] = [
  { what: 'image names', directories: ['tags'] },
  { what: 'images', directories: ['images'] },
  { what: 'blobs', directories: ['blobs', 'packedBlocks'] },
  { what: 'unpacked layers', directories: ['layers', 'tarIndex', 'layerIndex'] },
  { what: 'cached steps', directories: ['cache', 'slots', 'statCache'] },
  { what: 'caches of RUN', directories: ['cacheMounts'] },
  { what: 'fetched', directories: ['remote'] },
  { what: 'in use', directories: ['active', 'ingest', 'leases'] },
];
