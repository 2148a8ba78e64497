import { closeSync, openSync } from 'node:fs';
import { systemErrorCode } from '../../errors.ts';
import { libc, preparingNative, SystemCallError } from '../../layers/index.ts';

type Call = (...args: readonly unknown[]) => number;

/** Numbers that differ between arch/x86/entry/syscalls/syscall_64.tbl and asm-generic/unistd.h (arm64, riscv64). */
const NUMBERS =
  process.arch === 'x64'
    ? { pivotRoot: 155, setgroups: 116, setresuid: 117, setresgid: 119 }
    : { pivotRoot: 41, setgroups: 159, setresuid: 147, setresgid: 149 };
const OPENAT2 = 437;
const MOVE_MOUNT = 429;
const OPEN_TREE = 428;
const MOUNT_SETATTR = 442;

/** For the error. */
interface CallLabel {
  readonly name: string;
  readonly subject: string;
}

const declared = new Map<string, Call>();

/** Calls a function of the C library by its prototype; throws `SystemCallError` when it returns a negative number. */
export function call(prototype: string, args: readonly unknown[], { name, subject }: CallLabel): number {
  const { koffi, library } = libc();
  const known = declared.get(prototype) ?? preparingNative(() => library.func(prototype));
  declared.set(prototype, known);
  const result = known(...args);
  if (result < 0) throw new SystemCallError(name, koffi.errno(), subject);
  return result;
}

const numbers = 'long syscall(long number, long a, long b, long c)';

/** linux/sched.h */
export const CLONE = {
  fs: 0x200,
  mount: 0x20000,
  cgroup: 0x2000000,
  uts: 0x4000000,
  ipc: 0x8000000,
  pid: 0x20000000,
  net: 0x40000000,
} as const;

/** linux/mount.h */
export const MS = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  bind: 4096,
  recursive: 16384,
  private: 1 << 18,
} as const;

/** Of the calling thread only. */
export function unshare(flags: number): void {
  call('int unshare(int flags)', [flags], { name: 'unshare', subject: `0x${flags.toString(16)}` });
}

export interface MountCall {
  readonly source: string;
  readonly target: string;
  readonly type?: string;
  readonly flags?: number;
  readonly data?: string;
}

export function mount({ source, target, type, flags = 0, data }: MountCall): void {
  const prototype =
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)';
  call(prototype, [source, target, type ?? null, flags, data ?? null], {
    name: 'mount',
    subject: `${type ?? source} on ${target}`,
  });
}

const MNT_DETACH = 2;

/** Lazy: what is still open stays usable. */
export function detach(target: string): void {
  call('int umount2(const char *target, int flags)', [target, MNT_DETACH], { name: 'umount2', subject: target });
}

export function pivotRoot(newRoot: string, putOld: string): void {
  const prototype = 'long syscall(long number, const char *a, const char *b)';
  call(prototype, [NUMBERS.pivotRoot, newRoot, putOld], { name: 'pivot_root', subject: newRoot });
}

export function chdir(path: string): void {
  call('int chdir(const char *path)', [path], { name: 'chdir', subject: path });
}

export function fchdir(directory: number): void {
  call('int fchdir(int fd)', [directory], { name: 'fchdir', subject: String(directory) });
}

/** Of the calling thread, which must not share its root and working directory: both become the root of that namespace. */
export function joinMountNamespace(namespace: number): void {
  call('int setns(int fd, int type)', [namespace, CLONE.mount], { name: 'setns', subject: 'mnt' });
}

/**
 * Runs `work`, which may change the working directory, and goes back: by descriptor, because the path may lead through
 * directories that this user may not enter (a clone below /root).
 */
export function keepingDirectory<T>(work: () => T): T {
  const before = openSync('.', O_PATH);
  try {
    return work();
  } finally {
    call('int fchdir(int fd)', [before], { name: 'fchdir', subject: '.' });
    closeSync(before);
  }
}

/** Of the calling thread once it has unshared CLONE_FS. */
export function umask(mask: number): void {
  call('unsigned int umask(unsigned int mask)', [mask], { name: 'umask', subject: mask.toString(8) });
}

export function sethostname(name: string): void {
  const bytes = Buffer.from(name);
  call('int sethostname(const uint8_t *name, size_t length)', [bytes, bytes.length], {
    name: 'sethostname',
    subject: name,
  });
}

const PR_SET_PDEATHSIG = 1;
const PR_CAPBSET_DROP = 24;
const SIGKILL = 9;
export const prctl = 'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)';

/** This process is killed when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG). */
export function dieWithParent(): void {
  call(prctl, [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0], { name: 'prctl', subject: 'PR_SET_PDEATHSIG' });
}

/** Of the calling thread and what it starts. */
export function dropFromBoundingSet(capability: number): void {
  call(prctl, [PR_CAPBSET_DROP, capability, 0, 0, 0], { name: 'prctl', subject: `capability ${capability}` });
}

const PR_SET_NO_NEW_PRIVS = 38;

/** Of the calling thread and what it starts; for good. */
export function forbidNewPrivileges(): void {
  call(prctl, [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], { name: 'prctl', subject: 'PR_SET_NO_NEW_PRIVS' });
}

const KEYCTL = process.arch === 'x64' ? 250 : 219;
const KEYCTL_JOIN_SESSION_KEYRING = 1;

/** Gives the calling thread, and what it starts, an empty session keyring of its own (keyctl(2)). */
export function joinSessionKeyring(): void {
  const args = [KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, 0, 0];
  call(numbers, args, { name: 'keyctl', subject: 'KEYCTL_JOIN_SESSION_KEYRING' });
}

const RLIM_INFINITY = 0xffffffffffffffffn;

/** Of this process and what it starts (setrlimit(2)); undefined: unlimited. EPERM above the hard limit. */
export function setLimit(
  resource: number,
  { soft, hard }: { readonly soft: number | undefined; readonly hard: number | undefined },
): void {
  const limit = Buffer.alloc(16); // struct rlimit: rlim_cur, rlim_max
  limit.writeBigUInt64LE(soft === undefined ? RLIM_INFINITY : BigInt(soft), 0);
  limit.writeBigUInt64LE(hard === undefined ? RLIM_INFINITY : BigInt(hard), 8);
  call('int setrlimit(int resource, const uint8_t *limit)', [resource, limit], {
    name: 'setrlimit',
    subject: `resource ${resource}`,
  });
}

export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/** Raw calls: those of glibc would change every thread of the process. Final: a thread that leaves uid 0 loses its capabilities. */
export function becomeUser({ uid, gid, groups }: Identity): void {
  setGroups(groups);
  call(numbers, [NUMBERS.setresgid, gid, gid, gid], { name: 'setresgid', subject: String(gid) });
  call(numbers, [NUMBERS.setresuid, uid, uid, uid], { name: 'setresuid', subject: String(uid) });
}

function setGroups(groups: readonly number[]): void {
  const list = Uint32Array.from(groups);
  const prototype = 'long syscall(long number, size_t length, const uint32_t *list)';
  call(prototype, [NUMBERS.setgroups, list.length, list], { name: 'setgroups', subject: groups.join() });
}

/** As `becomeUser`, but a saved uid of 0 stays, with which `becomeRoot` leads back. No capability is effective meanwhile, unless uid is 0. */
export function actAs({ uid, gid, groups }: Identity): void {
  setGroups(groups);
  call(numbers, [NUMBERS.setresgid, gid, gid, 0], { name: 'setresgid', subject: String(gid) });
  call(numbers, [NUMBERS.setresuid, uid, uid, 0], { name: 'setresuid', subject: String(uid) });
}

/** Back from `actAs`; capabilities that are permitted become effective where the uid changes (capabilities(7)). Groups stay. */
export function becomeRoot(): void {
  call(numbers, [NUMBERS.setresuid, 0, 0, 0], { name: 'setresuid', subject: '0' });
}

/** asm-generic/fcntl.h; the two that differ on arm64 are not used. */
export const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
/** fcntl.h: 0o400000 on x86 and riscv, 0o100000 on arm. */
export const O_NOFOLLOW = process.arch === 'arm64' || process.arch === 'arm' ? 0o100000 : 0o400000;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_BENEATH = 0x08;

/** Opens a place below a directory without following any link: a link at the end is opened itself. ENOENT, ELOOP, EXDEV. */
export function openBeneath(directoryFd: number, path: string): number {
  const how = Buffer.alloc(24); // struct open_how: flags, mode, resolve
  how.writeBigUInt64LE(BigInt(O_PATH | O_NOFOLLOW | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH), 16);
  const prototype = 'long syscall(long number, int fd, const char *path, const uint8_t *how, size_t size)';
  return call(prototype, [OPENAT2, directoryFd, path, how, how.length], { name: 'openat2', subject: path });
}

const AT_FDCWD = -100;
const AT_RECURSIVE = 0x8000;
const AT_EMPTY_PATH = 0x1000;
const OPEN_TREE_CLONE = 1;
const MOVE_MOUNT_F_EMPTY_PATH = 0x04;
const MOVE_MOUNT_T_EMPTY_PATH = 0x40;

/** A detached copy of the mounts at a path or an opened place (open_tree(2), Linux 5.2). */
export function cloneTree(place: string | number): number {
  const [fd, path] = typeof place === 'number' ? [place, ''] : [AT_FDCWD, place];
  const flags = OPEN_TREE_CLONE | O_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH;
  const prototype = 'long syscall(long number, int fd, const char *path, unsigned int flags)';
  return call(prototype, [OPEN_TREE, fd, path, flags], { name: 'open_tree', subject: String(place) });
}

/** Moves the mount at a path, or a detached one by its descriptor, to an opened place or a path (move_mount(2), Linux 5.2). */
export function moveMount(from: string | number, to: string | number): void {
  const [fromFd, fromPath] = typeof from === 'number' ? [from, ''] : [AT_FDCWD, from];
  const [toFd, toPath] = typeof to === 'number' ? [to, ''] : [AT_FDCWD, to];
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  const prototype = 'long syscall(long number, int from, const char *fp, int to, const char *tp, unsigned int flags)';
  call(prototype, [MOVE_MOUNT, fromFd, fromPath, toFd, toPath, flags], {
    name: 'move_mount',
    subject: `${from} to ${to}`,
  });
}

const MOUNT_ATTR_RDONLY = 1n;

/** The mount at a path or a detached one, with all below it (mount_setattr(2), Linux 5.12). */
export function setReadOnly(tree: string | number): void {
  const [fd, path] = typeof tree === 'number' ? [tree, ''] : [AT_FDCWD, tree];
  const attr = Buffer.alloc(32); // struct mount_attr: attr_set, attr_clr, propagation, userns_fd
  attr.writeBigUInt64LE(MOUNT_ATTR_RDONLY, 0);
  const prototype =
    'long syscall(long number, int fd, const char *path, unsigned int flags, const uint8_t *attr, size_t size)';
  call(prototype, [MOUNT_SETATTR, fd, path, AT_RECURSIVE | AT_EMPTY_PATH, attr, attr.length], {
    name: 'mount_setattr',
    subject: String(tree),
  });
}

const RLIMIT_CORE = 4;
const RLIMIT_NOFILE = 7;

/**
 * Lowers the limits on open files of this process and what it starts, where they are above (getrlimit(2)). Node has raised the
 * soft one to the hard one, and some programs close every descriptor up to it: a thousand million takes minutes.
 */
export function limitOpenFiles(maximum: number): void {
  const limits = new BigUint64Array(2); // struct rlimit: soft, hard
  const name = 'RLIMIT_NOFILE';
  call('int getrlimit(int resource, _Out_ uint64_t *limits)', [RLIMIT_NOFILE, limits], {
    name: 'getrlimit',
    subject: name,
  });
  if (limits.every((limit) => limit <= BigInt(maximum))) return;
  const lowered = limits.map((limit) => (limit > BigInt(maximum) ? BigInt(maximum) : limit));
  call('int setrlimit(int resource, const uint64_t *limits)', [RLIMIT_NOFILE, lowered], {
    name: 'setrlimit',
    subject: name,
  });
}

/** What this process starts dumps no core unless it raises its limit: a core is no part of a layer, and may hold secrets. */
export function forbidCores(): void {
  const limits = new BigUint64Array(2); // struct rlimit: soft, hard
  const label = { name: 'setrlimit', subject: 'RLIMIT_CORE' };
  call('int getrlimit(int resource, _Out_ uint64_t *limits)', [RLIMIT_CORE, limits], label);
  limits[0] = 0n;
  call('int setrlimit(int resource, const uint64_t *limits)', [RLIMIT_CORE, limits], label);
}

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Locks an open file without waiting (flock(2)); false: somebody else holds it. The lock ends with the descriptor, also that
 * of a process that is killed.
 */
export function tryLock(fd: number, kind: 'shared' | 'exclusive'): boolean {
  const operation = (kind === 'shared' ? LOCK_SH : LOCK_EX) | LOCK_NB;
  try {
    call('int flock(int fd, int operation)', [fd, operation], { name: 'flock', subject: String(fd) });
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EAGAIN') return false;
    throw error;
  }
}

const CLOSE_RANGE = 436;
const CLOSE_RANGE_CLOEXEC = 4;
const STDIO = 3;

/** Node hands descriptors that it has itself inherited on to every child; from here on it does not (close_range(2), Linux 5.11). */
export function closeAllOnExec(): void {
  call(numbers, [CLOSE_RANGE, STDIO, 0xffffffff, CLOSE_RANGE_CLOEXEC], {
    name: 'close_range',
    subject: 'CLOSE_RANGE_CLOEXEC',
  });
}

export interface Pipe {
  readonly read: number;
  readonly write: number;
}

/** A real pipe: Node's are socket pairs, which `/dev/stdout` cannot open. Both ends are closed on exec. */
export function createPipe(): Pipe {
  const ends = new Int32Array(2);
  call('int pipe2(_Out_ int *ends, int flags)', [ends, O_CLOEXEC], { name: 'pipe2', subject: 'output' });
  return { read: ends[0] ?? -1, write: ends[1] ?? -1 };
}

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;

/** Moves the calling thread into the network namespace at a path (setns(2)). */
export function joinNetwork(path: string): void {
  const fd = openSync(path, 'r');
  try {
    call('int setns(int fd, int kind)', [fd, CLONE.net], { name: 'setns', subject: path });
  } finally {
    closeSync(fd);
  }
}

/** Brings `lo` up in the network namespace of the calling thread (netdevice(7)). */
export function bringLoopbackUp(): void {
  const fd = call('int socket(int domain, int type, int protocol)', [AF_INET, SOCK_DGRAM | O_CLOEXEC, 0], {
    name: 'socket',
    subject: 'lo',
  });
  const request = Buffer.alloc(40); // struct ifreq: name[16], flags
  request.write('lo');
  request.writeInt16LE(IFF_UP, 16);
  try {
    call('int ioctl(int fd, unsigned long request, const uint8_t *argument)', [fd, SIOCSIFFLAGS, request], {
      name: 'ioctl',
      subject: 'lo',
    });
  } finally {
    call('int close(int fd)', [fd], { name: 'close', subject: 'lo' });
  }
}
