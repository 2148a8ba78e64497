import { type BigIntStats, closeSync, mkdirSync, readFileSync, readSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { digestOf, sha256 } from '../oci/index.ts';
import { openUnchanged, requireUnchanged, type SeenFile } from './unchanged-file.ts';

/** A file whose ctime is younger than this when it is hashed may change again without its times changing. */
const RACY_NS = 2_000_000_000n;
const CHUNK_BYTES = 1024 * 1024;
const FORMAT = 'tsbuild-stat-cache 1';
const SHA256_HEX = /^[0-9a-f]{64}$/;

interface Remembered {
  readonly stamp: string;
  readonly sha256: string;
}

const newest = ({ ctimeNs, mtimeNs }: BigIntStats): bigint => {
  if (ctimeNs > mtimeNs) return ctimeNs;
  return mtimeNs;
};

const stampOf = (s: BigIntStats): string => `${s.size} ${s.mtimeNs} ${s.ctimeNs} ${s.ino} ${s.dev} ${s.mode}`;

/**
 * sha256 of file contents, remembered across builds by (path, size, mtime ns, ctime ns, inode, device, mode).
 * A file younger than the clock's granularity is hashed but not remembered (git's "racily clean" problem).
 */
export class FileHasher {
  readonly #file: string;
  readonly #known: Map<string, Remembered>;
  readonly #fresh = new Map<string, Remembered>();
  #isDirty = false;

  /** `cacheFile` is private to one context directory; a damaged one is as good as none. */
  constructor(cacheFile: string) {
    this.#file = cacheFile;
    this.#known = load(cacheFile);
  }

  /** Hex sha256 of a regular file in the state that `stat` describes. Throws `E_CONTEXT` where it changed since. */
  hash(path: string, stat: BigIntStats): string {
    const stamp = stampOf(stat);
    const known = this.#fresh.get(path) ?? this.#known.get(path);
    if (known?.stamp === stamp) {
      this.#fresh.set(path, known);
      return known.sha256;
    }
    const hex = hashFile({ file: path, stat });
    const age = BigInt(Date.now()) * 1_000_000n - newest(stat);
    this.#isDirty = true;
    if (age > RACY_NS) this.#fresh.set(path, { stamp, sha256: hex });
    return hex;
  }

  /** Keeps what was asked for in this build. Best effort: a cache that cannot be written costs time only. */
  save(): void {
    if (!this.#isDirty) return;
    const lines = [FORMAT, ...[...this.#fresh].map(([path, r]) => JSON.stringify([path, r.stamp, r.sha256]))];
    const temporary = `${this.#file}.${process.pid}`;
    try {
      mkdirSync(dirname(this.#file), { recursive: true });
      writeFileSync(temporary, `${lines.join('\n')}\n`);
      renameSync(temporary, this.#file);
    } catch {
      // no space or no permission: the next build hashes again
    }
  }
}

function load(file: string): Map<string, Remembered> {
  const known = new Map<string, Remembered>();
  try {
    const [header, ...lines] = readFileSync(file, 'utf8').split('\n');
    if (header !== FORMAT) return known;
    for (const line of lines) {
      if (line === '') continue;
      const fields: unknown = JSON.parse(line);
      if (!Array.isArray(fields)) continue;
      const [path, stamp, hex]: unknown[] = fields;
      if (typeof path !== 'string' || typeof stamp !== 'string' || typeof hex !== 'string') continue;
      if (SHA256_HEX.test(hex)) known.set(path, { stamp, sha256: hex });
    }
  } catch {
    known.clear(); // absent or damaged
  }
  return known;
}

function hashFile(seen: SeenFile): string {
  const hash = sha256();
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  const fd = openUnchanged(seen);
  try {
    for (let n = readSync(fd, buffer); n > 0; n = readSync(fd, buffer)) hash.update(buffer.subarray(0, n));
    requireUnchanged(fd, seen);
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex');
}

/** File name of the stat cache of a context directory. */
export const statCacheName = (directory: string): string => digestOf(directory).slice(7, 39);
