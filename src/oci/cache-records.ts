import { BuildError } from '../errors.ts';
import type { CacheKey, DiffId } from './digest.ts';
import { isDigest } from './digest.ts';
import { parseManifest } from './manifest.ts';
import type { Image } from './ports.ts';

/** A step's result as it travels with an image: the layer is one of the image's own. */
export interface CarriedRecord {
  readonly key: CacheKey;
  /** RFC 3339. */
  readonly created: string;
  readonly layer?: { readonly diffId: DiffId; readonly sizeBytes: number };
}

/** An annotation of the manifest: the config, hence the image's ID, is the same with and without it. */
export const CACHE_ANNOTATION = 'tsbuild.cache.v1';

/** One line of JSON; equal records give equal text. */
export const encodeCacheRecords = (records: readonly CarriedRecord[]): string =>
  JSON.stringify(
    records.map(({ key, created, layer }) => [key, created, ...(layer ? [layer.diffId, layer.sizeBytes] : [])]),
  );

/**
 * The records that an image carries; undefined: it carries none. Only those whose layer the image has. Throws
 * `E_BAD_MANIFEST` for what nobody wrote.
 */
export function cacheRecordsOf({ rawManifest, descriptor, layers }: Image): readonly CarriedRecord[] | undefined {
  const text = parseManifest(rawManifest, descriptor.mediaType).annotations?.[CACHE_ANNOTATION];
  if (typeof text !== 'string') return undefined;
  const own = new Set<string>(layers.map(({ diffId }) => diffId));
  return parseList(text)
    .map(parseRecord)
    .filter(({ layer }) => layer === undefined || own.has(layer.diffId));
}

function parseList(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value)) return value;
  } catch {
    // as below
  }
  throw damaged();
}

function parseRecord(value: unknown): CarriedRecord {
  if (!Array.isArray(value)) throw damaged();
  const [key, created, diffId, sizeBytes]: readonly unknown[] = value;
  if (typeof key !== 'string' || !isDigest(key) || typeof created !== 'string' || Number.isNaN(Date.parse(created)))
    throw damaged();
  // A cache key and a diffID have the form of a digest.
  const record = { key: key as string as CacheKey, created };
  if (diffId === undefined) return record;
  if (typeof diffId !== 'string' || !isDigest(diffId) || !Number.isSafeInteger(sizeBytes)) throw damaged();
  return { ...record, layer: { diffId: diffId as string as DiffId, sizeBytes: Number(sizeBytes) } };
}

const damaged = (): BuildError =>
  new BuildError('E_BAD_MANIFEST', `The annotation "${CACHE_ANNOTATION}" cannot be read`, {
    hint: 'Push the image again with --cache-to',
  });
