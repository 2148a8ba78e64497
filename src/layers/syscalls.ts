import { closeSync, constants as fs, openSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import type { LibraryHandle } from 'koffi';
import { BuildError, hintForOpenFiles } from '../errors.ts';
import { preparingNative } from './native-threads.ts';

type Koffi = typeof import('koffi');

/** The C library of this very process, for declaring further calls (`library.func('int unshare(int)')`), and koffi for `errno()`. */
export interface Libc {
  readonly koffi: Koffi;
  readonly library: LibraryHandle;
}

let loaded: Libc | undefined;

/**
 * Loads koffi at first use (about 10 ms), so that runs which need no system call never pay for it. Throws `E_INSTALLATION`
 * where it is not there.
 */
export function libc(): Libc {
  if (loaded) return loaded;
  loaded = preparingNative(() => {
    const koffi = loadKoffi();
    return { koffi, library: koffi.load(null) };
  });
  return loaded;
}

/** It ships CommonJS with a native part, which is a package of its own for each platform, and stays outside the bundle. */
function loadKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)('koffi');
  } catch (cause) {
    throw new BuildError('E_INSTALLATION', `Cannot load koffi, by which tsbuild makes system calls`, {
      hint:
        hintForOpenFiles(shortOfFiles()) ??
        `Install tsbuild again, with optional packages: koffi has its part for ${process.platform}-${process.arch} in one`,
      cause,
    });
  }
}

/** Descriptors that loading a module and its libraries takes, and a few for threads that open something at that moment. */
const FILES_TO_LOAD = 8;

/** The error that koffi, which tries several places, does not tell of; undefined: there are descriptors enough. */
function shortOfFiles(): unknown {
  try {
    const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
    const left = Number(limit ?? Number.POSITIVE_INFINITY) - readdirSync('/proc/self/fd').length;
    return left < FILES_TO_LOAD ? { code: 'EMFILE' } : undefined;
  } catch (error) {
    return error;
  }
}

/** An error as node:fs throws them: `code` is `ENOENT`, ... */
export class SystemCallError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number, subject: string) {
    const code = getSystemErrorName(-errno);
    super(`${code}: ${syscall} ${JSON.stringify(subject)}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** Returns `result`, or throws what errno says when it is negative. To be called right after the system call. */
export function checked(syscall: string, result: number, subject: string): number {
  if (result < 0) throw new SystemCallError(syscall, libc().koffi.errno(), subject);
  return result;
}

/** Numbers of linux/include/uapi/asm-generic/unistd.h (arm64, riscv64) and arch/x86/entry/syscalls/syscall_64.tbl. */
const NUMBERS =
  process.arch === 'x64' ? { mknodat: 259, openat2: 437, statx: 332 } : { mknodat: 33, openat2: 437, statx: 291 };
const AT_FDCWD = -100;

interface Calls {
  readonly llistxattr: (path: string, list: Uint8Array, size: number) => number;
  readonly lgetxattr: (path: string, name: string, value: Uint8Array, size: number) => number;
  readonly lsetxattr: (path: string, name: string, value: Uint8Array, size: number, flags: number) => number;
  readonly lremovexattr: (path: string, name: string) => number;
  readonly lseek: (fd: number, offset: number, whence: number) => number;
  readonly syncfs: (fd: number) => number;
  readonly mknodat: (call: number, dirfd: number, path: string, mode: number, dev: number) => number;
  readonly openat: (dirfd: number, path: string, flags: number, mode: number) => number;
  readonly close: (fd: number) => number;
  readonly openat2: (call: number, dirfd: number, path: string, how: Uint8Array, size: number) => number;
  readonly statx: StatxCall;
}

type StatxCall = (call: number, dirfd: number, path: string, flags: number, mask: number, into: Uint8Array) => number;

let declared: Calls | undefined;

function calls(): Calls {
  declared ??= preparingNative(declareCalls);
  return declared;
}

function declareCalls(): Calls {
  const { koffi, library } = libc();
  return {
    llistxattr: library.func('long llistxattr(const char *path, _Out_ uint8_t *list, size_t size)'),
    lgetxattr: library.func('long lgetxattr(const char *path, const char *name, _Out_ uint8_t *value, size_t size)'),
    lsetxattr: library.func(
      'int lsetxattr(const char *path, const char *name, const uint8_t *value, size_t size, int flags)',
    ),
    lremovexattr: library.func('int lremovexattr(const char *path, const char *name)'),
    lseek: library.func('int64_t lseek(int fd, int64_t offset, int whence)'),
    openat: library.func('int openat(int dirfd, const char *path, int flags, unsigned int mode)'),
    close: library.func('int close(int fd)'),
    syncfs: library.func('int syncfs(int fd)'),
    // By number: glibc before 2.33 has no mknod symbol, and openat2 has none at all.
    mknodat: library.func('syscall', 'long', ['long', 'long', 'const char *', 'unsigned long', 'unsigned long']),
    openat2: library.func('syscall', 'long', ['long', 'long', 'const char *', 'const uint8_t *', 'size_t']),
    // glibc before 2.28 has no statx
    statx: library.func('syscall', 'long', ['long', 'long', 'const char *', 'long', 'long', koffi.out('uint8_t *')]),
  };
}

/** XATTR_SIZE_MAX and XATTR_LIST_MAX of linux/limits.h. */
const XATTR_MAX = 65536;
const buffer = Buffer.alloc(XATTR_MAX);

/** Names of a file's extended attributes; a symlink's own. Filesystems without them have none. */
export function llistxattr(path: string): readonly string[] {
  const length = calls().llistxattr(path, buffer, XATTR_MAX);
  if (length === 0) return [];
  if (length < 0) {
    const error = new SystemCallError('llistxattr', libc().koffi.errno(), path);
    if (error.code === 'ENOTSUP') return [];
    throw error;
  }
  return buffer
    .toString('utf8', 0, length - 1)
    .split('\0')
    .sort();
}

const NO_ATTRIBUTE: readonly number[] = [constants.errno.ENODATA, constants.errno.EOPNOTSUPP];

/** undefined: the file has no such attribute, or its filesystem none at all. */
export function lgetxattr(path: string, name: string): Uint8Array | undefined {
  const length = calls().lgetxattr(path, name, buffer, XATTR_MAX);
  if (length >= 0) return Uint8Array.from(buffer.subarray(0, length));
  const errno = libc().koffi.errno();
  if (NO_ATTRIBUTE.includes(errno)) return undefined; // an error is made for the others only: its stack takes 20 us
  throw new SystemCallError('lgetxattr', errno, path);
}

export function lsetxattr(path: string, name: string, value: Uint8Array): void {
  checked('lsetxattr', calls().lsetxattr(path, name, value, value.byteLength, 0), path);
}

export function lremovexattr(path: string, name: string): void {
  checked('lremovexattr', calls().lremovexattr(path, name), path);
}

/** dev_t as the kernel takes it from user space (new_encode_dev in linux/kdev_t.h). */
const encodeDevice = (major: number, minor: number): number =>
  ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;

/** Makes a device, fifo or socket. `mode` has the type (S_IFCHR, ...) and the permission bits, which the umask cuts. */
export function mknod(path: string, mode: number, device: { readonly major: number; readonly minor: number }): void {
  const dev = encodeDevice(device.major, device.minor);
  checked('mknod', calls().mknodat(NUMBERS.mknodat, AT_FDCWD, path, mode, dev), path);
}

/** linux/openat2.h */
export const RESOLVE_IN_ROOT = 0x10;

export interface OpenHow {
  readonly flags: number;
  readonly mode?: number;
  /** RESOLVE_* bits. */
  readonly resolve: number;
}

/** asm-generic/fcntl.h */
const O_CLOEXEC = 0o2000000;
const NEW_FILE = fs.O_WRONLY | fs.O_CREAT | fs.O_EXCL | fs.O_NOFOLLOW;

/**
 * Opens what is called `name` in an open directory, with O_CLOEXEC. Half the cost of `openSync` by a path through
 * `/proc/self/fd`, which counts where thousands of files are read.
 */
export const openAt = (directoryFd: number, name: string, flags: number): number =>
  checked('open', calls().openat(directoryFd, name, flags | O_CLOEXEC, 0), name);

/** Makes a new file in an open directory, with O_CLOEXEC; the same gain. `EEXIST` where something has the name. */
export const createAt = (directoryFd: number, name: string, mode: number): number =>
  checked('open', calls().openat(directoryFd, name, NEW_FILE | O_CLOEXEC, mode), name);

/** A quarter of the cost of `closeSync`. */
export function closeWritten(fd: number, name: string): void {
  checked('close', calls().close(fd), name);
}

/** The same, but nobody learns of an error, so only for what was read. */
export function closeRead(fd: number): void {
  calls().close(fd);
}

/**
 * Opens `path` relative to a directory, resolving every link inside it (RESOLVE_IN_ROOT: the directory is the root). Returns
 * a file descriptor with O_CLOEXEC. ENOSYS before Linux 5.6.
 */
export function openat2(directoryFd: number, path: string, { flags, mode = 0, resolve }: OpenHow): number {
  const how = Buffer.alloc(24); // struct open_how: three u64
  how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(mode), 8);
  how.writeBigUInt64LE(BigInt(resolve), 16);
  return checked('openat2', calls().openat2(NUMBERS.openat2, directoryFd, path, how, how.length), path);
}

/** Returns when the disk has all of the file system that a directory lies on. */
export function syncFileSystem(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    checked('syncfs', calls().syncfs(fd), directory);
  } finally {
    closeSync(fd);
  }
}

/** linux/stat.h: `struct statx`. */
export const STATX_BYTES = 256;
/** linux/stat.h */
const STATX_BASIC_STATS = 0x7ff;
/** linux/fcntl.h */
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;

/**
 * A `struct statx` of `name` in an open directory, never of what a link there leads to; `''`: of the open file itself.
 * A quarter of the cost of `lstatSync` by a path, and no object. ENOSYS before Linux 4.11; some containers answer EPERM.
 */
export function statx(directoryFd: number, name: string, into: Uint8Array): void {
  const flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;
  checked('statx', calls().statx(NUMBERS.statx, directoryFd, name, flags, STATX_BASIC_STATS, into), name);
}

const SEEK_DATA = 3;
const SEEK_HOLE = 4;

export interface Extent {
  readonly start: number;
  readonly end: number;
}

/** The next stretch of data of a sparse file at or after `offset`; undefined: only a hole is left. */
export function nextData(fd: number, offset: number): Extent | undefined {
  const start = calls().lseek(fd, offset, SEEK_DATA);
  if (start < 0) {
    const error = new SystemCallError('lseek', libc().koffi.errno(), String(fd));
    if (error.code === 'ENXIO') return undefined;
    throw error;
  }
  return { start, end: checked('lseek', calls().lseek(fd, start, SEEK_HOLE), String(fd)) };
}
