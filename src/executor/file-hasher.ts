import { type BigIntStats, closeSync, mkdirSync, readFileSync, readSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { extentsOf, readXattrs } from '../layers/index.ts';
import { digestOf, sha256 } from '../oci/index.ts';
import { placeIn } from './source-cursor.ts';
import { hostPath, type PlacedFile } from './source-root.ts';
import { changedMeanwhile, openUnchanged, requireUnchanged, type SeenFile } from './unchanged-file.ts';

/** A file whose ctime is younger than this when it is hashed may change again without its times changing. */
const RACY_NS = 2_000_000_000n;
const CHUNK_BYTES = 1024 * 1024;
const ZEROS = new Uint8Array(CHUNK_BYTES);
const FORMAT = 'tsbuild-stat-cache 2';

type Xattrs = ReadonlyMap<string, Uint8Array>;

interface Facts {
  readonly stamp: string;
  /** Hex; of regular files. */
  sha256?: string;
  /** As JSON. */
  xattrs?: string;
}

const newest = ({ ctimeNs, mtimeNs }: BigIntStats): bigint => {
  if (ctimeNs > mtimeNs) return ctimeNs;
  return mtimeNs;
};

const stampOf = (s: BigIntStats): string => `${s.size} ${s.mtimeNs} ${s.ctimeNs} ${s.ino} ${s.dev} ${s.mode}`;

/**
 * What reading a file gives (sha256 of its bytes, extended attributes), remembered across builds by (path, size, mtime ns,
 * ctime ns, inode, device, mode). A file younger than the clock's granularity is read but not remembered (git's "racily
 * clean" problem).
 */
export class FileHasher {
  readonly #file: string;
  /** Lines of the cache file by path, taken apart when they are asked for. */
  readonly #known: ReadonlyMap<string, string>;
  readonly #fresh = new Map<string, Facts>();
  #isDirty = false;

  /** `cacheFile` is private to one context directory; a damaged one is as good as none. */
  constructor(cacheFile: string) {
    this.#file = cacheFile;
    this.#known = load(cacheFile);
  }

  /** Hex sha256 of a regular file in the state that `stat` describes. Throws `E_CONTEXT` where it changed since. */
  hash(file: PlacedFile, stat: BigIntStats): string {
    const path = hostPath(file);
    const facts = this.#factsOf(path, stat);
    if (facts.sha256 !== undefined) return facts.sha256;
    const hex = hashFile({ file, stat });
    this.#learn(path, stat, { ...facts, sha256: hex });
    return hex;
  }

  /** Setting an attribute changes the ctime, so they are remembered as contents are. */
  xattrs(file: PlacedFile, stat: BigIntStats): Xattrs {
    const path = hostPath(file);
    const facts = this.#factsOf(path, stat);
    if (facts.xattrs !== undefined) return decodeXattrs(facts.xattrs);
    const found = readXattrs(placeIn(file.root, file.path));
    this.#learn(path, stat, { ...facts, xattrs: encodeXattrs(found) });
    return found;
  }

  #factsOf(path: string, stat: BigIntStats): Facts {
    const stamp = stampOf(stat);
    const fresh = this.#fresh.get(path);
    if (fresh?.stamp === stamp) return fresh;
    const line = this.#known.get(path);
    if (line === undefined || !line.startsWith(`${stamp}\t`)) return { stamp };
    const facts = parseFacts(line);
    this.#fresh.set(path, facts);
    return facts;
  }

  #learn(path: string, stat: BigIntStats, facts: Facts): void {
    this.#isDirty = true;
    const age = BigInt(Date.now()) * 1_000_000n - newest(stat);
    if (age > RACY_NS) this.#fresh.set(path, facts);
  }

  /** Keeps what was asked for in this build. Best effort: a cache that cannot be written costs time only. */
  save(): void {
    if (!this.#isDirty) return;
    const records = [FORMAT, ...[...this.#fresh].map(formatRecord)];
    const temporary = `${this.#file}.${process.pid}`;
    try {
      mkdirSync(dirname(this.#file), { recursive: true });
      writeFileSync(temporary, records.join('\0'));
      renameSync(temporary, this.#file);
    } catch {
      // no space or no permission: the next build reads again
    }
  }
}

/** Records end with a NUL, which no path has; fields with a tab, which only the path, the last one, may have. */
const formatRecord = ([path, { stamp, sha256: hex = '', xattrs = '' }]: readonly [string, Facts]): string =>
  `${stamp}\t${hex}\t${xattrs}\t${path}`;

function parseFacts(record: string): Facts {
  const [stamp = '', hex, xattrs] = record.split('\t', 3);
  return { stamp, ...(hex ? { sha256: hex } : {}), ...(xattrs ? { xattrs } : {}) };
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

function load(file: string): ReadonlyMap<string, string> {
  const known = new Map<string, string>();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return known; // absent
  }
  const [format, ...records] = text.split('\0');
  if (format !== FORMAT) return known;
  for (const record of records) {
    const fields = /^[\d ]+\t(?:[0-9a-f]{64})?\t(?:\[[^\t]*\])?\t/.exec(record);
    if (fields) known.set(record.slice(fields[0].length), record);
  }
  return known;
}

function hashFile(seen: SeenFile): string {
  const hash = sha256();
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  const fd = openUnchanged(seen);
  try {
    let at = 0;
    for (const { end, isHole } of extentsOf(fd, Number(seen.stat.size))) {
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
