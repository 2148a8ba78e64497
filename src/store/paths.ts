import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BuildError, systemErrorCode } from '../errors.ts';
import { type CacheKey, type DiffId, type Digest, digestOf, hexOf } from '../oci/index.ts';
import { storeError } from './store-error.ts';

/** Raised when an older program would misread the directory. */
const FORMAT_VERSION = 1;

/** Every path of the state directory. */
export interface StorePaths {
  readonly root: string;
  readonly marker: string;
  readonly blobs: string;
  /** Where blobs are that were not fetched yet, by the hex of their digests. */
  readonly origins: string;
  readonly images: string;
  readonly tags: string;
  readonly cache: string;
  /** What steps read, a line a file: explains a miss, and is not needed for a look-up. By the hex of the key. */
  readonly cacheFiles: string;
  readonly slots: string;
  /** What is remembered of contexts; the newest mtime of a context's files is its last use. Owned by src/executor. */
  readonly statCache: string;
  /** Held by flock while a step runs; by the hex of the key. Owned by src/executor. */
  readonly stepLocks: string;
  readonly layerIndex: string;
  /** One directory a layer, named by the hex of its diffID; its mtime is its last use. Owned by src/layers. */
  readonly layers: string;
  /** The same for a user who has one id only: owners are recorded. Owned by src/layers. */
  readonly recordedLayers: string;
  /** Tables of contents of layers' tars, by the hex of the diffID. Owned by src/layers; made again where missing. */
  readonly tarIndex: string;
  /** A table of the compressed forms of blocks that blobs here have. Owned by src/layers; made again where missing. */
  readonly packedBlocks: string;
  /** Snapshots in use. Owned by src/layers. */
  readonly active: string;
  /** Directories of `RUN --mount=type=cache`. Owned by src/executor. */
  readonly cacheMounts: string;
  /** One directory a container, by its id: record and log. Owned by src/containers. */
  readonly containers: string;
  /** Temporary files; what lies here belongs to a running process or is rubbish. */
  readonly ingest: string;
  readonly leases: string;
  /** Files and trees that ADD and contexts fetched, by their keys; the mtime is the last use. Owned by src/remote. */
  readonly remote: string;
}

export function storePaths(root: string): StorePaths {
  return {
    root,
    marker: join(root, 'tsbuild-store.json'),
    blobs: join(root, 'blobs', 'sha256'),
    origins: join(root, 'origins'),
    images: join(root, 'images'),
    tags: join(root, 'tags'),
    cache: join(root, 'cache'),
    cacheFiles: join(root, 'cache-files'),
    slots: join(root, 'slots'),
    statCache: join(root, 'stat-cache'),
    stepLocks: join(root, 'step-locks'),
    layerIndex: join(root, 'layer-index'),
    layers: join(root, 'layers'),
    recordedLayers: join(root, 'layers-recorded'),
    tarIndex: join(root, 'tar-index'),
    packedBlocks: join(root, 'packed-blocks'),
    active: join(root, 'active'),
    cacheMounts: join(root, 'cache-mounts'),
    containers: join(root, 'containers'),
    ingest: join(root, 'ingest'),
    leases: join(root, 'leases'),
    remote: join(root, 'remote'),
  };
}

export const originPath = (paths: StorePaths, digest: Digest): string => join(paths.origins, `${hexOf(digest)}.json`);
export const blobPath = (paths: StorePaths, digest: Digest): string => join(paths.blobs, hexOf(digest));
/** One record an image that was ever written and not yet pruned, by manifest digest. */
export const imagePath = (paths: StorePaths, manifest: Digest): string => join(paths.images, `${hexOf(manifest)}.json`);
export const cachePath = (paths: StorePaths, key: CacheKey): string => join(paths.cache, `${hexOf(key)}.json`);
export const cacheFilesPath = (paths: StorePaths, key: CacheKey): string =>
  join(paths.cacheFiles, `${hexOf(key)}.json`);
export const slotPath = (paths: StorePaths, slot: string): string => join(paths.slots, `${hexOf(digestOf(slot))}.json`);
export const layerIndexPath = (paths: StorePaths, diffId: DiffId): string =>
  join(paths.layerIndex, `${hexOf(diffId)}.json`);
export const tagPath = (paths: StorePaths, name: string): string => join(paths.tags, encodeTagName(name));

/** File names end at 255 bytes (NAME_MAX); a reference may be longer. */
const MAX_READABLE = 200;

/** One file name for one name: readable where short, else its hash. The record inside holds the name itself. */
export function encodeTagName(name: string): string {
  const readable = name.replace(/[^A-Za-z0-9._-]/g, (c) => `%${Buffer.from(c).toString('hex').toUpperCase()}`);
  return readable.length <= MAX_READABLE ? `${readable}.json` : `%hash-${hexOf(digestOf(name))}.json`;
}

/** Makes the state directory (mode 0700) and its marker. A newer format throws `E_CORRUPT_STORE`. */
export function createRoot(paths: StorePaths): void {
  const { root, marker, blobs, ...rest } = paths;
  try {
    makeDirectories(root);
    checkMarker(paths);
    for (const directory of [blobs, ...Object.values(rest)]) mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw storeError({ doing: 'create the state directory', path: root }, cause);
  }
}

/** As `mkdir -p`: Node's `recursive` never ends where the kernel answers ENOENT for a directory that is there (/proc). */
function makeDirectories(path: string): void {
  const parent = dirname(path);
  if (existsSync(path)) return;
  if (parent !== path) makeDirectories(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error; // another process was first
  }
}

function checkMarker({ root, marker }: StorePaths): void {
  const text = readMarker(marker);
  if (text === undefined) {
    writeFileSync(marker, `${JSON.stringify({ formatVersion: FORMAT_VERSION })}\n`);
    return;
  }
  const version = /"formatVersion":\s*(\d+)/.exec(text)?.[1];
  // An empty marker is one that another process is writing at this moment, or never finished.
  if (text === '' || Number(version) === FORMAT_VERSION) return;
  throw new BuildError('E_CORRUPT_STORE', `Cannot use the state directory "${root}": unknown format ${version ?? ''}`, {
    hint: 'It was made by a newer tsbuild: use that version, or another directory with --root',
    fields: { supported: FORMAT_VERSION },
  });
}

function readMarker(marker: string): string | undefined {
  try {
    return readFileSync(marker, 'utf8');
  } catch (cause) {
    if (systemErrorCode(cause) === 'ENOENT') return undefined;
    throw cause;
  }
}
