import { AT, Errno, type Kernel } from './raw.ts';

const AT_FDCWD = -100;
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
const RESOLVE_IN_ROOT = 0x10n;
const LINK_BYTES = 4096;
const HOW_BYTES = 24;
const SLASH = Buffer.from('/');

/** A path as its process means it. */
export interface Asked {
  readonly pid: number;
  /** As `PID/cwd`. */
  readonly directory: Buffer;
  readonly path: Buffer;
}

/**
 * Paths of processes that have changed their root (chroot(2)): links in them lead to places below that root. They are opened
 * for the time of one answer.
 */
export class OtherRoots {
  readonly #kernel: Kernel;
  readonly #noFollow: number;
  readonly #open: number[] = [];
  #isUsed = false;

  constructor(kernel: Kernel, noFollow: number) {
    this.#kernel = kernel;
    this.#noFollow = noFollow;
  }

  /** Somebody calls chroot(2): from here on each process is asked for its root. */
  expect(): void {
    this.#isUsed = true;
  }

  /** A path of ours for a file that is there, to be followed; undefined: the process has the step's root. Throws `Errno`. */
  existing(asked: Asked, follow: boolean): Buffer | undefined {
    const root = this.#rootOf(asked.pid);
    if (root === undefined) return undefined;
    const flags = O_PATH | O_CLOEXEC | (follow ? 0 : this.#noFollow);
    return Buffer.from(`self/fd/${this.#openIn(asked, root, { path: asked.path, flags })}`);
  }

  /** The same for something that is to be made: its directory is there. */
  missing(asked: Asked): Buffer | undefined {
    const root = this.#rootOf(asked.pid);
    if (root === undefined) return undefined;
    const path = withoutEndingSlashes(asked.path);
    const slash = path.lastIndexOf(SLASH);
    const parent = slash < 0 ? Buffer.from('.') : path.subarray(0, slash + 1);
    const fd = this.#openIn(asked, root, { path: parent, flags: O_PATH | O_CLOEXEC });
    return Buffer.concat([Buffer.from(`self/fd/${fd}/`), path.subarray(slash + 1)]);
  }

  release(): void {
    for (const fd of this.#open.splice(0)) this.#kernel.try('close', fd);
  }

  #rootOf(pid: number): Buffer | undefined {
    if (!this.#isUsed) return undefined;
    const root = this.#link(Buffer.from(`${pid}/root`));
    return root.equals(SLASH) ? undefined : root;
  }

  #openIn(
    { pid, directory, path: whole }: Asked,
    root: Buffer,
    { path, flags }: { readonly path: Buffer; readonly flags: number },
  ): number {
    const base = whole[0] === SLASH[0] ? path : Buffer.concat([below(root, this.#link(directory)), SLASH, path]);
    const { bytes, base: memory } = this.#kernel;
    const top = this.#keep(
      this.#kernel.call('openat', AT_FDCWD, this.#kernel.path(Buffer.from(`${pid}/root`)), O_PATH | O_CLOEXEC),
    );
    bytes.writeBigUInt64LE(BigInt(flags), AT.openHow);
    bytes.writeBigUInt64LE(0n, AT.openHow + 8);
    bytes.writeBigUInt64LE(RESOLVE_IN_ROOT, AT.openHow + 16);
    return this.#keep(this.#kernel.call('openat2', top, this.#kernel.path(base), memory + AT.openHow, HOW_BYTES));
  }

  #keep(fd: number): number {
    this.#open.push(fd);
    return fd;
  }

  #link(path: Buffer): Buffer {
    const { bytes } = this.#kernel;
    const data = this.#kernel.address(AT.data);
    const length = this.#kernel.call('readlinkat', AT_FDCWD, this.#kernel.path(path), data, LINK_BYTES);
    return Buffer.from(bytes.subarray(AT.data, AT.data + length));
  }
}

const EXDEV = 18;

/** Where a directory is for a process with this root. Throws `Errno` for one outside of it, which nothing here can reach. */
function below(root: Buffer, directory: Buffer): Buffer {
  if (directory.equals(root)) return Buffer.from('/');
  const prefix = Buffer.concat([root, SLASH]);
  if (!directory.subarray(0, prefix.length).equals(prefix)) throw new Errno(EXDEV);
  return directory.subarray(root.length);
}

function withoutEndingSlashes(path: Buffer): Buffer {
  let end = path.length;
  while (end > 1 && path[end - 1] === SLASH[0]) end--;
  return path.subarray(0, end);
}
