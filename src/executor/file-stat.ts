import { type BigIntStats, constants } from 'node:fs';
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
  /** Differs as soon as the file may have: size, mtime and ctime in ns, inode, device, mode. */
  readonly stamp: string;
  /** What reading the file gave, where that is remembered; `FileHasher` keeps it here between two questions. */
  known: KnownFacts | undefined;

  constructor(stat: BigIntStats) {
    this.mode = Number(stat.mode);
    this.size = Number(stat.size);
    this.uid = Number(stat.uid);
    this.gid = Number(stat.gid);
    this.nlink = Number(stat.nlink);
    this.rdev = Number(stat.rdev);
    this.mtime = Math.floor(Number(stat.mtimeMs) / 1000);
    this.newestMs = Math.max(Number(stat.ctimeMs), Number(stat.mtimeMs));
    this.stamp = `${stat.size} ${stat.mtimeNs} ${stat.ctimeNs} ${stat.ino} ${stat.dev} ${stat.mode}`;
  }

  /** Names of one inode have it in common. */
  get inode(): string {
    return this.stamp.split(' ', 5).slice(3).join(':');
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
