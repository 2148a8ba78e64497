import { type BigIntStats, constants } from 'node:fs';
import { type FileOwnerIds, STATX_BYTES } from '../layers/index.ts';
import type { KnownFacts } from './stat-cache.ts';

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
  /** Milliseconds: the later one of mtime and ctime. */
  readonly newestMs: number;
  /**
   * Differs as soon as the file may have: size, mtime and ctime in ns, inode, device, mode; `STAMP_BYTES` bytes, one a
   * character.
   */
  readonly stamp: string;
  /** What reading the file gave, where that is remembered; `FileHasher` keeps it here between two questions. */
  known: KnownFacts | undefined;

  /** `status`: a `struct statx`. `owner`: whose the file is said to be. */
  constructor(status: Buffer, owner?: FileOwnerIds) {
    this.mode = status.readUInt16LE(AT.mode);
    this.size = longAt(status, AT.size);
    this.uid = owner?.uid ?? status.readUInt32LE(AT.uid);
    this.gid = owner?.gid ?? status.readUInt32LE(AT.gid);
    this.nlink = status.readUInt32LE(AT.nlink);
    this.rdev = deviceOf(status.readUInt32LE(AT.rdevMajor), status.readUInt32LE(AT.rdevMinor));
    this.mtime = longAt(status, AT.mtime);
    this.newestMs = Math.max(msAt(status, AT.mtime), msAt(status, AT.ctime));
    this.stamp = stampOf(status);
    this.known = undefined;
  }

  /** Names of one inode have it in common. */
  get inode(): string {
    return this.stamp.slice(INODE.at, INODE.end) + this.device;
  }

  /** Of the file system, in the form of the stamp. */
  get device(): string {
    return this.stamp.slice(DEVICE.at);
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

/** linux/stat.h, `struct statx`. A time is 64 bits of seconds, 32 of nanoseconds and 32 of nothing. */
const AT = {
  nlink: 16,
  uid: 20,
  gid: 24,
  mode: 28,
  ino: 32,
  size: 40,
  ctime: 96,
  mtime: 112,
  rdevMajor: 128,
  rdevMinor: 132,
  devMajor: 136,
  devMinor: 140,
} as const;
const WORD = 2 ** 32;

/** What a stamp has of the struct: mode, inode and size; ctime, mtime and devices. */
const FIRST = { at: AT.mode, end: AT.size + 8 } as const;
const SECOND = { at: AT.ctime, end: AT.devMinor + 4 } as const;
const FIRST_BYTES = FIRST.end - FIRST.at;
const INODE = { at: AT.ino - FIRST.at, end: AT.size - FIRST.at } as const;
const DEVICE = { at: FIRST_BYTES + AT.devMajor - SECOND.at } as const;
/** Of `FileStat.stamp`. */
export const STAMP_BYTES = FIRST_BYTES + SECOND.end - SECOND.at;
const stampBytes = Buffer.alloc(STAMP_BYTES);

function stampOf(status: Buffer): string {
  status.copy(stampBytes, 0, FIRST.at, FIRST.end);
  status.copy(stampBytes, FIRST_BYTES, SECOND.at, SECOND.end);
  return stampBytes.toString('latin1');
}

const longAt = (bytes: Buffer, at: number): number => bytes.readInt32LE(at + 4) * WORD + bytes.readUInt32LE(at);

const msAt = (bytes: Buffer, at: number): number =>
  longAt(bytes, at) * 1000 + Math.floor(bytes.readUInt32LE(at + 8) / 1_000_000);

/** As Node gives it (linux/kdev_t.h, new_encode_dev); what does not fit into 32 bits is cut off. */
const deviceOf = (major: number, minor: number): number =>
  ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;

const NS = 1_000_000_000n;

/** What Node gives as a `struct statx`. */
export function statusOf(stat: BigIntStats): Buffer {
  const status = Buffer.alloc(STATX_BYTES);
  status.writeUInt32LE(Number(stat.nlink), AT.nlink);
  status.writeUInt32LE(Number(stat.uid), AT.uid);
  status.writeUInt32LE(Number(stat.gid), AT.gid);
  status.writeUInt16LE(Number(stat.mode), AT.mode);
  status.writeBigUInt64LE(BigInt.asUintN(64, stat.ino), AT.ino);
  status.writeBigInt64LE(stat.size, AT.size);
  writeTime(status, AT.ctime, stat.ctimeNs);
  writeTime(status, AT.mtime, stat.mtimeNs);
  writeDevice(status, AT.rdevMajor, stat.rdev);
  writeDevice(status, AT.devMajor, stat.dev);
  return status;
}

function writeTime(status: Buffer, at: number, ns: bigint): void {
  const rest = ((ns % NS) + NS) % NS;
  status.writeBigInt64LE((ns - rest) / NS, at);
  status.writeUInt32LE(Number(rest), at + 8);
}

/** sysmacros.h, gnu_dev_major and gnu_dev_minor. */
function writeDevice(status: Buffer, at: number, device: bigint): void {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xffff_f000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffff_ff00n);
  status.writeUInt32LE(Number(major), at);
  status.writeUInt32LE(Number(minor), at + 4);
}
