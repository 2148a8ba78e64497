import type { Notification } from './listener.ts';
import { AT, EFAULT, ENAMETOOLONG, Errno, type Kernel } from './raw.ts';

const PAGE = 4096;
const PATH_MAX = 4096;
export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_EMPTY_PATH = 0x1000;
const SLASH = 0x2f;

/** A file of the step, for system calls of the supervisor. */
export interface Located {
  readonly path: Buffer;
  /** A link at the end is followed: calls have to be the following kind. */
  readonly follow: boolean;
}

export interface PathArgument {
  readonly directory: number;
  /** Address in the step's memory. */
  readonly address: number;
  readonly flags?: number;
  readonly follow: boolean;
}

/**
 * The memory and the files of the asking thread. The supervisor has the step's root, and the outer /proc as its working
 * directory: `PID/cwd` and `PID/fd/N` lead to the directories of the step, and links behind them go where they go for it.
 */
export class Target {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  read(pid: number, address: number, length: number): Buffer {
    this.#transfer('process_vm_readv', pid, { address, length });
    return Buffer.from(this.#kernel.bytes.subarray(AT.data, AT.data + length));
  }

  write(pid: number, address: number, bytes: Uint8Array): void {
    this.#kernel.bytes.set(bytes, AT.data);
    this.#transfer('process_vm_writev', pid, { address, length: bytes.byteLength });
  }

  /** Without its NUL. */
  string(pid: number, address: number): Buffer {
    const parts: Buffer[] = [];
    let total = 0;
    for (let at = address; total <= PATH_MAX; ) {
      const length = PAGE - (at % PAGE);
      this.#transfer('process_vm_readv', pid, { address: at, length });
      const chunk = this.#kernel.bytes.subarray(AT.data, AT.data + length);
      const end = chunk.indexOf(0);
      parts.push(Buffer.from(chunk.subarray(0, end < 0 ? length : end)));
      if (end >= 0) return parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts);
      at += length;
      total += length;
    }
    throw new Errno(ENAMETOOLONG);
  }

  /** undefined: an empty path that means nothing here; the kernel says what it thinks of it. */
  locate(
    { pid }: Pick<Notification, 'pid'>,
    { directory, address, flags = 0, follow }: PathArgument,
  ): Located | undefined {
    const isEmptyAllowed = (flags & AT_EMPTY_PATH) !== 0;
    const path = address === 0 && isEmptyAllowed ? Buffer.alloc(0) : this.string(pid, address);
    if (path.length === 0) {
      if (!isEmptyAllowed) return undefined;
      return { path: directoryPath(pid, directory, ''), follow: true };
    }
    return { path: this.place(pid, directory, path), follow };
  }

  place(pid: number, directory: number, path: Buffer): Buffer {
    if (path[0] !== SLASH) return Buffer.concat([directoryPath(pid, directory, '/'), path]);
    const own = OWN_PROC.exec(path.toString('latin1'));
    if (!own) return path;
    const [, links = '', rest = ''] = own;
    return Buffer.from(`${pid}/${DEVICE_LINKS[links] ?? ''}${rest}`, 'latin1');
  }

  descriptor(pid: number, fd: number): Located {
    return { path: Buffer.from(`${pid}/fd/${fd}`), follow: true };
  }

  #transfer(name: string, pid: number, { address, length }: { address: number; length: number }): void {
    const { bytes, base } = this.#kernel;
    bytes.writeBigUInt64LE(BigInt(base + AT.data), AT.iovecs);
    bytes.writeBigUInt64LE(BigInt(length), AT.iovecs + 8);
    bytes.writeBigUInt64LE(BigInt(address), AT.iovecs + 16);
    bytes.writeBigUInt64LE(BigInt(length), AT.iovecs + 24);
    const done = this.#kernel.try(name, pid, base + AT.iovecs, 1, base + AT.iovecs + 16, 1);
    if (done !== length) throw new Errno(done < 0 ? -done : EFAULT);
  }
}

/** What says "me" in a path means the supervisor when it looks: it is written out. */
const OWN_PROC = /^\/(?:proc\/(?:thread-)?self|dev\/(fd|stdin|stdout|stderr)(?=\/|$))(.*)$/s;
const DEVICE_LINKS: Readonly<Record<string, string>> = { fd: 'fd', stdin: 'fd/0', stdout: 'fd/1', stderr: 'fd/2' };

function directoryPath(pid: number, directory: number, end: string): Buffer {
  const fd = directory | 0;
  return Buffer.from(fd === AT_FDCWD ? `${pid}/cwd${end}` : `${pid}/fd/${fd}${end}`);
}
