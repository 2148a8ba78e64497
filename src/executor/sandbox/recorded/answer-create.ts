import { O_NOFOLLOW } from '../syscalls.ts';
import type { Asking, Handler, Room } from './asking.ts';
import { mayAccess } from './credentials.ts';
import type { Answer } from './listener.ts';
import { AT, EACCES, EEXIST, ENOENT, Errno } from './raw.ts';
import { AT_FDCWD } from './target.ts';

const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const O_WRONLY = 1;
const MAX_LINKS = 8;
const LINK_BYTES = 4096;
const O_CLOEXEC = 0o2000000;
/** The bit of O_TMPFILE that is not O_DIRECTORY. */
const TMPFILE = 0o20000000;
const S_ISGID = 0o2000;
const S_IFMT = 0o170000;
const DEVICES = [0o020000, 0o060000];
const SLASH = 0x2f;

interface New {
  /** Where it is to be made. */
  readonly path: Buffer;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Who a new file is to belong to; `continue`: root, which it does without us. The group of a setgid directory goes over to
 * what is made in it (inode(7)). `path`: as `Target.place` gives it.
 */
export function plan({ records }: Room, asking: Asking, path: Buffer): New | Answer {
  const who = asking.who();
  const parent = records.facts({ path: parentOf(path), follow: true });
  const [uid, own] = [who.uid.filesystem, who.gid.filesystem];
  const gid = (parent.mode & S_ISGID) !== 0 ? parent.gid : own;
  if (uid === 0 && gid === 0) return 'continue';
  // what is there already is opened as it is, and then this does not count
  if (!mayAccess(who, parent, 3) && !exists(records, path)) return { errno: EACCES };
  return { path, uid, gid };
}

/** undefined: an empty name. */
function placeOf({ target }: Room, { pid }: Asking, place: { directory: number; address: number }): Buffer | undefined {
  const name = target.string(pid, place.address);
  return name.length === 0 ? undefined : target.place(pid, place.directory, name);
}

function exists(records: Room['records'], path: Buffer): boolean {
  try {
    records.facts({ path, follow: false });
    return true;
  } catch (error) {
    if (error instanceof Errno) return false;
    throw error;
  }
}

/** The directory in which the last name of a path is; slashes at the end do not count. */
export function parentOf(path: Buffer): Buffer {
  let end = path.length;
  while (end > 1 && path[end - 1] === SLASH) end--;
  const slash = path.lastIndexOf(SLASH, end - 1);
  if (slash < 0) return Buffer.from('.');
  return slash === 0 ? Buffer.from('/') : path.subarray(0, slash);
}

/** Makes something as the asking process would have, with its umask, and records the owner. */
export function makeOwned(room: Room, pid: number, { path, uid, gid }: New, call: () => number): Answer {
  const result = withUmask(room, pid, call);
  if (result < 0) return { errno: -result };
  room.records.set({ path, follow: false }, { uid, gid });
  return { value: 0 };
}

function withUmask<T>({ kernel }: Room, pid: number, work: () => T): T {
  kernel.call('umask', umaskOf(kernel, pid));
  try {
    return work();
  } finally {
    kernel.call('umask', 0o022);
  }
}

/** proc_pid_status(5); the supervisor's working directory is /proc. */
function umaskOf(kernel: Room['kernel'], pid: number): number {
  const fd = kernel.call('openat', AT_FDCWD, kernel.path(Buffer.from(`${pid}/status`)), O_CLOEXEC);
  const length = kernel.try('read', fd, kernel.address(AT.data), 4096);
  kernel.try('close', fd);
  const text = kernel.bytes.toString('latin1', AT.data, AT.data + Math.max(0, length));
  return Number.parseInt(/^Umask:\s*([0-7]+)/m.exec(text)?.[1] ?? '022', 8);
}

interface Opening {
  readonly directory: number;
  readonly address: number;
  readonly flags: number;
  readonly mode: number;
}

function open(room: Room, asking: Asking, opening: Opening): Answer {
  if ((opening.flags & (O_CREAT | TMPFILE)) === 0) return 'continue';
  const path = placeOf(room, asking, opening);
  return path === undefined ? 'continue' : openAt(room, asking, { ...opening, path, links: 0 });
}

interface OpeningAt extends Pick<Opening, 'flags' | 'mode'> {
  readonly path: Buffer;
  /** That were followed to it. */
  readonly links: number;
}

function openAt(room: Room, asking: Asking, { path, flags, mode, links }: OpeningAt): Answer {
  const { kernel, records } = room;
  // of an unnamed file (O_TMPFILE) the path is the directory itself
  const isUnnamed = (flags & TMPFILE) !== 0;
  const planned = plan(room, asking, isUnnamed ? Buffer.concat([path, Buffer.from('/.tmp')]) : path);
  if (typeof planned === 'string' || !('path' in planned)) return planned;
  const own = (isUnnamed ? flags : (flags | O_EXCL) & ~O_TRUNC) | O_CLOEXEC;
  const descriptor = withUmask(room, asking.pid, () =>
    kernel.try('openat', AT_FDCWD, kernel.path(path), own, mode & 0o7777),
  );
  if (descriptor === -EEXIST) {
    if ((flags & O_EXCL) !== 0) return { errno: EEXIST };
    // it is there: the kernel opens it, or refuses to; but a link to nothing makes what it names
    const missing = (flags & O_NOFOLLOW) === 0 && links < MAX_LINKS ? danglingLink(room, path) : undefined;
    return missing ? openAt(room, asking, { path: missing, flags, mode, links: links + 1 }) : 'continue';
  }
  if (descriptor < 0) return { errno: -descriptor };
  records.set({ path: Buffer.from(`self/fd/${descriptor}`), follow: true }, planned);
  return { descriptor, closeOnExec: (flags & O_CLOEXEC) !== 0 };
}

/** Where a link points that leads to no file. */
function danglingLink({ kernel }: Room, path: Buffer): Buffer | undefined {
  const there = kernel.try('newfstatat', AT_FDCWD, kernel.path(path), kernel.address(AT.stat));
  if (there !== -ENOENT) return undefined;
  const length = kernel.try('readlinkat', AT_FDCWD, kernel.path(path), kernel.address(AT.data), LINK_BYTES);
  if (length <= 0) return undefined;
  const link = Buffer.from(kernel.bytes.subarray(AT.data, AT.data + length));
  return link[0] === SLASH ? link : Buffer.concat([parentOf(path), Buffer.from('/'), link]);
}

/** struct open_how: flags, mode, resolve. What is to be resolved in a special way the kernel does itself. */
function openHow(room: Room, asking: Asking): Answer {
  const how = room.target.read(asking.pid, asking.arg(2), 24);
  if (how.readBigUInt64LE(16) !== 0n) return 'continue';
  const [flags, mode] = [Number(how.readBigUInt64LE(0)), Number(how.readBigUInt64LE(8))];
  return open(room, asking, { directory: asking.arg(0), address: asking.arg(1), flags, mode });
}

interface Making {
  readonly directory: number;
  readonly address: number;
  readonly call: (path: number) => number;
}

function create(room: Room, asking: Asking, { directory, address, call }: Making): Answer {
  const path = placeOf(room, asking, { directory, address });
  if (path === undefined) return 'continue';
  const planned = plan(room, asking, path);
  if (typeof planned === 'string' || !('path' in planned)) return planned;
  return makeOwned(room, asking.pid, planned, () => call(room.kernel.path(planned.path)));
}

function mkdir(room: Room, asking: Asking, [directory, address, mode]: readonly [number, number, number]): Answer {
  const call = (path: number): number => room.kernel.try('mkdirat', AT_FDCWD, path, mode & 0o7777);
  return create(room, asking, { directory, address, call });
}

/** Devices are refused by the kernel, as on every rung with namespaces. */
function mknod(room: Room, asking: Asking, first: 0 | 1): Answer {
  const [mode, device] = [asking.arg(first + 1) & 0xffff, asking.id(first + 2)];
  if (DEVICES.includes(mode & S_IFMT)) return 'continue';
  const directory = first === 0 ? AT_FDCWD : asking.arg(0);
  const call = (path: number): number => room.kernel.try('mknodat', AT_FDCWD, path, mode, device);
  return create(room, asking, { directory, address: asking.arg(first), call });
}

function symlink(room: Room, asking: Asking, [directory, address]: readonly [number, number]): Answer {
  const { kernel, target } = room;
  const text = target.string(asking.pid, asking.arg(0));
  const call = (path: number): number => kernel.try('symlinkat', kernel.path(text, AT.otherPath), AT_FDCWD, path);
  return create(room, asking, { directory, address, call });
}

/** What makes files: those of others than root, or in setgid directories, are made here and recorded. */
export const CREATE_ANSWERS: Readonly<Record<string, Handler>> = {
  open: (room, asking) =>
    open(room, asking, { directory: AT_FDCWD, address: asking.arg(0), flags: asking.arg(1) | 0, mode: asking.arg(2) }),
  openat: (room, asking) =>
    open(room, asking, {
      directory: asking.arg(0),
      address: asking.arg(1),
      flags: asking.arg(2) | 0,
      mode: asking.arg(3),
    }),
  openat2: openHow,
  creat: (room, asking) =>
    open(room, asking, {
      directory: AT_FDCWD,
      address: asking.arg(0),
      flags: O_CREAT | O_WRONLY | O_TRUNC,
      mode: asking.arg(1),
    }),
  mkdir: (room, asking) => mkdir(room, asking, [AT_FDCWD, asking.arg(0), asking.arg(1)]),
  mkdirat: (room, asking) => mkdir(room, asking, [asking.arg(0), asking.arg(1), asking.arg(2)]),
  mknod: (room, asking) => mknod(room, asking, 0),
  mknodat: (room, asking) => mknod(room, asking, 1),
  symlink: (room, asking) => symlink(room, asking, [AT_FDCWD, asking.arg(1)]),
  symlinkat: (room, asking) => symlink(room, asking, [asking.arg(1), asking.arg(2)]),
};
