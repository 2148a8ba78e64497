import { constants, lstatSync, type Stats } from 'node:fs';
import { systemErrorCode } from '../errors.ts';
import { STATX_BYTES, statx } from './syscalls.ts';

const { S_IFMT, S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFBLK, S_IFCHR } = constants;

/** What a layer says of a file, beside its attributes. */
export type FileFacts = Pick<
  Stats,
  | 'mode'
  | 'uid'
  | 'gid'
  | 'size'
  | 'nlink'
  | 'rdev'
  | 'mtimeMs'
  | 'isFile'
  | 'isDirectory'
  | 'isSymbolicLink'
  | 'isFIFO'
  | 'isCharacterDevice'
  | 'isBlockDevice'
>;

const bytes = Buffer.alloc(STATX_BYTES);
const words = new Uint32Array(bytes.buffer, bytes.byteOffset, STATX_BYTES / 4);
/** Words of linux/stat.h, `struct statx`. */
const AT = { nlink: 4, uid: 5, gid: 6, mode: 7, size: 10, mtime: 28, nanoseconds: 30, rdev: 32 } as const;
const word = (at: number): number => words[at] ?? 0;
const long = (at: number): number => (word(at + 1) | 0) * 2 ** 32 + word(at);

/** As in `Stats.rdev`: glibc's sys/sysmacros.h, gnu_dev_makedev. */
const deviceOf = (major: number, minor: number): number =>
  Math.floor(major / 0x1000) * 2 ** 44 +
  (major & 0xfff) * 2 ** 8 +
  Math.floor(minor / 0x100) * 2 ** 20 +
  (minor & 0xff);

/** A third of what `Stats` takes, which has a Date for each time. */
class Facts implements FileFacts {
  readonly mode = word(AT.mode) & 0xffff;
  readonly uid = word(AT.uid);
  readonly gid = word(AT.gid);
  readonly size = long(AT.size);
  readonly nlink = word(AT.nlink);
  readonly rdev = deviceOf(word(AT.rdev), word(AT.rdev + 1));
  readonly mtimeMs = long(AT.mtime) * 1000 + word(AT.nanoseconds) / 1_000_000;

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

  isCharacterDevice(): boolean {
    return (this.mode & S_IFMT) === S_IFCHR;
  }

  isBlockDevice(): boolean {
    return (this.mode & S_IFMT) === S_IFBLK;
  }
}

/** Not before Linux 4.11, nor where a seccomp profile of that time is. */
let isThere = true;

/** Of what is called `name` in an open directory, never of what a link leads to; `at`: the same as a path. Throws as `lstatSync`. */
export function factsOf(directory: number, name: string, at: string): FileFacts {
  if (!isThere) return lstatSync(at);
  try {
    statx(directory, name, bytes);
  } catch (error) {
    const code = systemErrorCode(error);
    isThere = code !== 'ENOSYS' && code !== 'EPERM' && code !== 'EINVAL';
    return lstatSync(at); // or its error, which names the path
  }
  return new Facts();
}
