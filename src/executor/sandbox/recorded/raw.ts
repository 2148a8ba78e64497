import { libc, preparingNative } from '../../../layers/index.ts';
import { getArchitecture, lookupNative } from '../seccomp/index.ts';

/** Where things lie in the arena, in bytes. */
export const AT = {
  notification: 0,
  response: 80,
  addFd: 104,
  polled: 128,
  iovecs: 144,
  limitOld: 176,
  limitNew: 192,
  openHow: 208,
  stat: 256,
  path: 1024,
  otherPath: 9216,
  data: 17408,
} as const;

const DATA_BYTES = 65536;
export const ARENA_BYTES = AT.data + DATA_BYTES;
export const PATH_BYTES = AT.otherPath - AT.path;

type SystemCall = (number: number, ...args: readonly number[]) => number;

/** An errno of a call; answers to the step are made of it. */
export class Errno extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

/**
 * System calls over one piece of native memory: every pointer is an address in it, so that a call costs no conversion. A
 * supervisor answers tens of thousands of them.
 */
export class Kernel {
  readonly bytes: Buffer;
  readonly base: number;
  readonly #syscall: SystemCall;
  readonly #errno: () => number;
  readonly #numbers: ReadonlyMap<string, number>;

  constructor() {
    const { koffi, library } = libc();
    const memory = koffi.alloc('uint8_t', ARENA_BYTES);
    this.bytes = Buffer.from(koffi.view(memory, ARENA_BYTES));
    this.base = Number(koffi.address(memory));
    const words = ['int64', 'int64', 'int64', 'int64', 'int64', 'int64'];
    this.#syscall = preparingNative(() => library.func('syscall', 'long', ['long', ...words]));
    this.#errno = () => koffi.errno();
    this.#numbers = getArchitecture(lookupNative() ?? 'x86_64').numbers;
  }

  number(name: string): number {
    const found = this.#numbers.get(name);
    if (found === undefined) throw new RangeError(`there is no system call "${name}"`);
    return found;
  }

  /** The result, or the negative errno, as the kernel itself says it. */
  try(name: string, a = 0, b = 0, c = 0, d = 0, e = 0): number {
    const result = this.#syscall(this.number(name), a, b, c, d, e, 0);
    return result < 0 ? -this.#errno() : result;
  }

  /** Throws `Errno`. */
  call(name: string, a = 0, b = 0, c = 0, d = 0, e = 0): number {
    const result = this.try(name, a, b, c, d, e);
    if (result < 0) throw new Errno(-result);
    return result;
  }

  address(offset: number): number {
    return this.base + offset;
  }

  /** Puts a NUL-terminated path into the arena and gives its address. */
  path(path: Buffer, offset: number = AT.path): number {
    if (path.length >= PATH_BYTES) throw new Errno(ENAMETOOLONG);
    path.copy(this.bytes, offset);
    this.bytes[offset + path.length] = 0;
    return this.base + offset;
  }
}

/** asm-generic/errno-base.h and errno.h */
export const EPERM = 1;
export const ENOENT = 2;
export const EIO = 5;
export const EACCES = 13;
export const EFAULT = 14;
export const EEXIST = 17;
export const EINVAL = 22;
export const ERANGE = 34;
export const ENAMETOOLONG = 36;
export const ENODATA = 61;
export const EOPNOTSUPP = 95;
