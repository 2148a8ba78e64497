import { closeSync, mkdirSync, readFileSync, readSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { extentsOf, readXattrs } from '../layers/index.ts';
import { digestOf, sha256 } from '../oci/index.ts';
import type { FileStat } from './file-stat.ts';
import { placeIn } from './source-cursor.ts';
import { hostPath, type PlacedFile } from './source-root.ts';
import { StatCache } from './stat-cache.ts';
import { changedMeanwhile, openUnchanged, requireUnchanged, type SeenFile } from './unchanged-file.ts';

/** A file whose ctime is younger than this when it is hashed may change again without its times changing. */
const RACY_MS = 2000;
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

/** What was learned of a file; `stamp` names the state of the file. */
interface Facts {
  readonly path: string;
  readonly stamp: string;
  /** Hex; of regular files. */
  readonly sha256?: string | undefined;
  /** As JSON. */
  readonly xattrs?: string | undefined;
}

/**
 * What reading a file gives (sha256 of its bytes, extended attributes), remembered across builds by (path, size, mtime ns,
 * ctime ns, inode, device, mode). A file younger than the clock's granularity is read but not remembered (git's "racily
 * clean" problem).
 */
export class FileHasher implements FileReader {
  readonly #file: string;
  readonly #known: StatCache;
  readonly #learned = new Map<string, Facts>();
  /** What was asked last is mostly asked again. */
  #last: Facts | undefined;
  #isDirty = false;

  /** `cacheFile` is private to one context directory; a damaged one is as good as none. */
  constructor(cacheFile: string) {
    this.#file = cacheFile;
    this.#known = new StatCache(readCache(cacheFile));
  }

  hash(file: PlacedFile, stat: FileStat): string {
    const facts = this.#factsOf(hostPath(file), stat);
    if (facts.sha256 !== undefined) return facts.sha256;
    const hex = hashFile({ file, stat });
    this.#learn({ ...facts, sha256: hex }, stat);
    return hex;
  }

  /** Setting an attribute changes the ctime, so they are remembered as contents are. */
  xattrs(file: PlacedFile, stat: FileStat): Xattrs {
    const facts = this.#factsOf(hostPath(file), stat);
    if (facts.xattrs !== undefined) return decodeXattrs(facts.xattrs);
    const found = readXattrs(placeIn(file.root, file.path));
    this.#learn({ ...facts, xattrs: encodeXattrs(found) }, stat);
    return found;
  }

  #factsOf(path: string, { stamp }: FileStat): Facts {
    if (this.#last?.path === path && this.#last.stamp === stamp) return this.#last;
    const learned = this.#learned.get(path);
    if (learned?.stamp === stamp) return learned;
    this.#last = { path, stamp, ...this.#known.lookup(path, stamp) };
    return this.#last;
  }

  #learn(facts: Facts, { newestMs }: FileStat): void {
    this.#isDirty = true;
    if (Date.now() - newestMs <= RACY_MS) return;
    this.#learned.set(facts.path, facts);
    this.#last = facts;
  }

  /** Keeps what was asked for in this build. Best effort: a cache that cannot be written costs time only. */
  save(): void {
    if (!this.#isDirty) return;
    const temporary = `${this.#file}.${process.pid}`;
    try {
      mkdirSync(dirname(this.#file), { recursive: true });
      writeFileSync(temporary, this.#known.with(this.#learned));
      renameSync(temporary, this.#file);
    } catch {
      // no space or no permission: the next build reads again
    }
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

function readCache(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // absent
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
    closeSync(fd);
  }
  return hash.digest('hex');
}

/** File name of the stat cache of a context directory. */
export const statCacheName = (directory: string): string => digestOf(directory).slice(7, 39);
