import { readFileSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import { closeRead, extentsOf, readXattrs } from '../layers/index.ts';
import { digestOf, sha256 } from '../oci/index.ts';
import type { FileStat, KnownFacts } from './file-stat.ts';
import { LOCAL_MS, settledAfter } from './settled.ts';
import { placeIn } from './source-cursor.ts';
import { hostPath, type PlacedFile, type SourceRoot } from './source-root.ts';
import { type LearnedFacts, StatCache } from './stat-cache.ts';
import { changedMeanwhile, openUnchanged, requireUnchanged, type SeenFile } from './unchanged-file.ts';
import { writeWhole } from './whole-file.ts';

const CHUNK_BYTES = 1024 * 1024;
const ZEROS = new Uint8Array(CHUNK_BYTES);

type Xattrs = ReadonlyMap<string, Uint8Array>;

/** What reading a file gives. */
export interface FileReader {
  /** Hex sha256 of a regular file in the state that `stat` describes. Throws `E_CONTEXT` where it changed since. */
  hash(file: PlacedFile, stat: FileStat): string;
  xattrs(file: PlacedFile, stat: FileStat): Xattrs;
}

/** Remembers nothing: for roots whose paths and inodes are others each time. */
export const freshReader: FileReader = {
  hash: (file, stat) => hashFile({ file, stat }),
  xattrs: ({ root, path }) => readXattrs(placeIn(root, path)),
};

/**
 * What reading a file gives (sha256 of its bytes, extended attributes), remembered across builds by (path, size, mtime ns,
 * ctime ns, inode, device, mode). A file that was changed a moment ago is read but not remembered (git's "racily clean"
 * problem).
 */
export class FileHasher implements FileReader {
  readonly #file: string;
  #cache: StatCache | undefined;
  readonly #learned = new Map<string, LearnedFacts>();
  #isDirty = false;

  /** What earlier builds found out of these stays, though nobody asks. */
  readonly #kept: { readonly root: SourceRoot; readonly paths: readonly string[] }[] = [];

  /** By device: see `settledAfter`. */
  readonly #windows = new Map<string, number>();
  readonly #settledAfter: (directory: string) => number;

  /** `cacheFile` is private to one context directory; a damaged one is as good as none. */
  constructor(cacheFile: string, settled = settledAfter) {
    this.#file = cacheFile;
    this.#settledAfter = settled;
  }

  hash(file: PlacedFile, stat: FileStat): string {
    const facts = this.#factsOf(file, stat);
    if (facts.sha256 !== undefined) return facts.sha256;
    const begun = Date.now();
    const sha256 = hashFile({ file, stat });
    this.#learn(file, stat, { facts: { ...facts, sha256 }, begun });
    return sha256;
  }

  /** Hex sha256 of a file without reading it; undefined: not remembered. */
  known(file: PlacedFile, stat: FileStat): string | undefined {
    return this.#factsOf(file, stat).sha256;
  }

  /** A file for something else that is remembered of this context. */
  beside(name: string): string {
    return `${this.#file}-${name}`;
  }

  /** Setting an attribute changes the ctime, so they are remembered as contents are. */
  xattrs(file: PlacedFile, stat: FileStat): Xattrs {
    const facts = this.#factsOf(file, stat);
    if (facts.xattrs !== undefined) return decodeXattrs(facts.xattrs);
    const begun = Date.now();
    const found = readXattrs(placeIn(file.root, file.path));
    this.#learn(file, stat, { facts: { ...facts, xattrs: encodeXattrs(found) }, begun });
    return found;
  }

  #factsOf(file: PlacedFile, stat: FileStat): KnownFacts {
    if (stat.known) return stat.known;
    const path = hostPath(file);
    const learned = this.#learned.get(path);
    stat.known = learned?.stamp === stat.stamp ? learned : this.#stored().lookup(path, stat.stamp);
    return stat.known;
  }

  /** Read when it is asked first. */
  #stored(): StatCache {
    this.#cache ??= new StatCache(readCache(this.#file));
    return this.#cache;
  }

  /** `begun`: when the reading began, in ms; whatever changes later must show. */
  #learn(
    file: PlacedFile,
    stat: FileStat,
    { facts, begun }: { readonly facts: KnownFacts; readonly begun: number },
  ): void {
    this.#isDirty = true;
    const path = hostPath(file);
    if (!this.isSettled(file, stat, begun)) return;
    stat.known = facts;
    this.#learned.set(path, { ...facts, stamp: stat.stamp });
  }

  /** Whether what is read of the file at a time (in ms) or later is that of its stamp: a later change shows. */
  isSettled(file: PlacedFile, { device, newestMs, hasFineTime }: FileStat, time: number): boolean {
    const window = this.#windows.get(device) ?? this.#settledAfter(dirname(hostPath(file)));
    this.#windows.set(device, window);
    return time - newestMs > (hasFineTime ? window : Math.max(window, LOCAL_MS));
  }

  /** The files are still copied: what is known of them is kept, though nobody asks in this build. */
  keep(root: SourceRoot, paths: readonly string[]): void {
    this.#kept.push({ root, paths });
  }

  /** Keeps what was asked for in this build. */
  save(): void {
    if (!this.#isDirty) return;
    const stored = this.#stored();
    for (const { root, paths } of this.#kept) for (const path of paths) stored.keep(hostPath({ root, path }));
    writeWhole(this.#file, stored.with(this.#learned));
  }
}

const NO_XATTRS: Xattrs = new Map();
const NONE = '[]';

const encodeXattrs = (xattrs: Xattrs): string =>
  xattrs.size === 0
    ? NONE
    : JSON.stringify([...xattrs].map(([name, value]) => [name, Buffer.from(value).toString('hex')]));

function decodeXattrs(text: string): Xattrs {
  if (text === NONE) return NO_XATTRS;
  const coded: readonly (readonly [string, string])[] = JSON.parse(text);
  return new Map(coded.map(([name, hex]) => [name, Buffer.from(hex, 'hex')]));
}

function readCache(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    return Buffer.alloc(0); // absent
  }
}

function hashFile(seen: SeenFile): string {
  const hash = sha256();
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  const fd = openUnchanged(seen);
  try {
    let at = 0;
    for (const { end, isHole } of extentsOf(fd, seen.stat.size)) {
      while (at < end) {
        const n = isHole
          ? Math.min(end - at, CHUNK_BYTES)
          : readSync(fd, buffer, 0, Math.min(end - at, CHUNK_BYTES), at);
        if (n === 0) throw changedMeanwhile(seen.file);
        hash.update((isHole ? ZEROS : buffer).subarray(0, n));
        at += n;
      }
    }
    requireUnchanged(fd, seen);
  } finally {
    closeRead(fd);
  }
  return hash.digest('hex');
}

/** File name of the stat cache of a context directory. */
export const statCacheName = (directory: string): string => digestOf(directory).slice(7, 39);
