import { type BigIntStats, constants } from 'node:fs';
import { type FileOwnerIds, STATX_BYTES } from '../layers/index.ts';

export interface KnownFacts {
  /** Hex. */
  readonly sha256?: string | undefined;
  /** As JSON. */
  readonly xattrs?: string | undefined;
}

const { S_IFMT, S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFBLK, S_IFCHR } = constants;

/**
 * What is kept of a file's `lstat`: numbers and one text. 20,000 objects of big integers cost more garbage collection than
 * the calls that give them.
 */
export class FileStat {
  /** With the type. */
  readonly mode: number;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly rdev: number;
  /** Seconds, rounded down. */
  readonly mtime: number;
  /**
   * Differs as soon as the file may have: size, mtime and ctime in ns, inode, device, mode; `STAMP_BYTES` bytes, one a
   * character.
   */
  readonly stamp: string;
  /** Milliseconds: the later one of mtime and ctime. */
  readonly newestMs: number;
  /** The ctime has more than milliseconds. */
  readonly hasFineTime: boolean;
  /** What reading the file gave, where that is remembered; `FileHasher` keeps it here between two questions. */
  known: KnownFacts | undefined;

  /** `owner`: whose the file is said to be. */
  constructor({ words }: Status, owner?: FileOwnerIds) {
    this.mode = (words[AT.mode] ?? 0) & 0xffff;
    this.size = longAt(words, AT.size);
    this.uid = owner?.uid ?? words[AT.uid] ?? 0;
    this.gid = owner?.gid ?? words[AT.gid] ?? 0;
    this.nlink = words[AT.nlink] ?? 0;
    this.rdev = deviceOf(words[AT.rdev] ?? 0, words[AT.rdev + 1] ?? 0);
    this.mtime = longAt(words, AT.mtime);
    this.stamp = stampOf(words);
    this.newestMs = Math.max(msAt(words, AT.ctime), msAt(words, AT.mtime));
    this.hasFineTime = (words[AT.ctime + 2] ?? 0) % 1_000_000 !== 0;
    this.known = undefined;
  }

  /** Names of one inode have it in common. */
  get inode(): string {
    return this.stamp.slice(STAMP.inode, STAMP.size) + this.device;
  }

  /** Of the file system, in the form of the stamp. */
  get device(): string {
    return this.stamp.slice(STAMP.device);
  }

  isFile(): boolean {
    return (this.mode & S_IFMT) === S_IFREG;
  }

  isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR;
  }

  isSymbolicLink(): boolean {
    return (this.mode & S_IFMT) === S_IFLNK;
  }

  isFIFO(): boolean {
    return (this.mode & S_IFMT) === S_IFIFO;
  }

  isSocket(): boolean {
    return (this.mode & S_IFMT) === S_IFSOCK;
  }

  isBlockDevice(): boolean {
    return (this.mode & S_IFMT) === S_IFBLK;
  }

  isCharacterDevice(): boolean {
    return (this.mode & S_IFMT) === S_IFCHR;
  }
}

/** A `struct statx`, as bytes, as words of 32 bits, and as pairs of them. */
export interface Status {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly pairs: BigInt64Array;
}

const WORD_BYTES = 4;

export function newStatus(): Status {
  const bytes = Buffer.alloc(STATX_BYTES);
  return {
    bytes,
    words: new Uint32Array(bytes.buffer, bytes.byteOffset, STATX_BYTES / WORD_BYTES),
    pairs: new BigInt64Array(bytes.buffer, bytes.byteOffset, STATX_BYTES / (2 * WORD_BYTES)),
  };
}

/** Words of linux/stat.h, `struct statx`. A time is two of seconds, one of nanoseconds and one of nothing. */
const AT = { nlink: 4, uid: 5, gid: 6, mode: 7, ino: 8, size: 10, ctime: 24, mtime: 28, rdev: 32, dev: 34 } as const;

/** What a stamp has of the struct, by its bytes: mode, inode and size; ctime, mtime and devices. */
const STAMP = { inode: 4, size: 12, device: 60 } as const;
/** Of `FileStat.stamp`. */
export const STAMP_BYTES = 68;
const stampBytes = Buffer.alloc(STAMP_BYTES);
const stampWords = new Uint32Array(stampBytes.buffer, stampBytes.byteOffset, STAMP_BYTES / WORD_BYTES);

function stampOf(words: Uint32Array): string {
  let to = 0;
  for (let from = AT.mode; from < AT.size + 2; from++) stampWords[to++] = words[from] ?? 0;
  for (let from = AT.ctime; from < AT.dev + 2; from++) stampWords[to++] = words[from] ?? 0;
  return stampBytes.toString('latin1');
}

/** Words in a stamp. */
export const STAMP_WORDS = STAMP_BYTES / WORD_BYTES;

/** Whether the stamp of the file is the one that begins at the word `at` of `stamps`. */
export function hasStamp({ words }: Status, stamps: Uint32Array, at: number): boolean {
  let to = at;
  for (let from = AT.mode; from < AT.size + 2; from++) if (stamps[to++] !== words[from]) return false;
  for (let from = AT.ctime; from < AT.dev + 2; from++) if (stamps[to++] !== words[from]) return false;
  return true;
}

const HIGH = 2 ** 32;

const longAt = (words: Uint32Array, at: number): number => ((words[at + 1] ?? 0) | 0) * HIGH + (words[at] ?? 0);

const msAt = (words: Uint32Array, at: number): number =>
  longAt(words, at) * 1000 + Math.floor((words[at + 2] ?? 0) / 1_000_000);

/** As Node gives it (linux/kdev_t.h, new_encode_dev); what does not fit into 32 bits is cut off. */
const deviceOf = (major: number, minor: number): number =>
  ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;

const NS = 1_000_000_000n;

/** What Node gives as a `struct statx`, in `status`. */
export function statusOf(stat: BigIntStats, status = newStatus()): Status {
  const { pairs } = status;
  pairs[AT.nlink / 2] = stat.nlink | (stat.uid << 32n);
  pairs[AT.gid / 2] = stat.gid | (stat.mode << 32n);
  pairs[AT.ino / 2] = stat.ino;
  pairs[AT.size / 2] = stat.size;
  writeTime(pairs, AT.ctime / 2, stat.ctimeNs);
  writeTime(pairs, AT.mtime / 2, stat.mtimeNs);
  pairs[AT.rdev / 2] = deviceWords(stat.rdev);
  pairs[AT.dev / 2] = deviceWords(stat.dev);
  return status;
}

function writeTime(pairs: BigInt64Array, at: number, ns: bigint): void {
  const rest = ((ns % NS) + NS) % NS;
  pairs[at] = (ns - rest) / NS;
  pairs[at + 1] = rest;
}

/** sysmacros.h, gnu_dev_major and gnu_dev_minor. */
function deviceWords(device: bigint): bigint {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xffff_f000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffff_ff00n);
  return major | (minor << 32n);
}
