import type { Asking, Handler, Room } from './asking.ts';
import { mayAccess } from './credentials.ts';
import type { Answer } from './listener.ts';
import { AT, EACCES, EEXIST, Errno } from './raw.ts';
import { AT_FDCWD, type Located } from './target.ts';

const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const O_WRONLY = 1;
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
 * Who a new file is to belong to; undefined: root, which it does without us. The group of a setgid directory goes over to
 * what is made in it (inode(7)).
 */
function plan({ target, records }: Room, asking: Asking, place: { directory: number; address: number }): New | Answer {
  const name = target.string(asking.pid, place.address);
  if (name.length === 0) return 'continue';
  const path = target.place(asking.pid, place.directory, name);
  const who = asking.who();
  const parent = records.facts({ path: parentOf(path), follow: true });
  const [uid, own] = [who.uid.filesystem, who.gid.filesystem];
  const gid = (parent.mode & S_ISGID) !== 0 ? parent.gid : own;
  if (uid === 0 && gid === 0) return 'continue';
  // what is there already is opened as it is, and then this does not count
  if (!mayAccess(who, parent, 3) && !exists(records, path)) return { errno: EACCES };
  return { path, uid, gid };
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
function make(room: Room, asking: Asking, { path, uid, gid }: New, call: (path: number) => number): Answer {
  const file: Located = { path, follow: false };
  const result = withUmask(room, asking.pid, () => call(room.kernel.path(path)));
  if (result < 0) return { errno: -result };
  room.records.set(file, { uid, gid });
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

function open(room: Room, asking: Asking, { directory, address, flags, mode }: Opening): Answer {
  if ((flags & (O_CREAT | TMPFILE)) === 0) return 'continue';
  const isUnnamed = (flags & TMPFILE) !== 0;
  const planned = plan(room, asking, { directory, address });
  if (typeof planned === 'string' || !('path' in planned)) return planned;
  const { kernel, records } = room;
  const { path, ...owner } = planned;
  const own = (isUnnamed ? flags : (flags | O_EXCL) & ~O_TRUNC) | O_CLOEXEC;
  const descriptor = withUmask(room, asking.pid, () =>
    kernel.try('openat', AT_FDCWD, kernel.path(path), own, mode & 0o7777),
  );
  // it is there: the kernel opens it, or refuses to
  if (descriptor === -EEXIST) return (flags & O_EXCL) === 0 ? 'continue' : { errno: EEXIST };
  if (descriptor < 0) return { errno: -descriptor };
  records.set({ path: Buffer.from(`self/fd/${descriptor}`), follow: true }, owner);
  return { descriptor, closeOnExec: (flags & O_CLOEXEC) !== 0 };
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
  const planned = plan(room, asking, { directory, address });
  if (typeof planned === 'string' || !('path' in planned)) return planned;
  return make(room, asking, planned, call);
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
