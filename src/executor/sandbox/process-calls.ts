import { constants, openSync } from 'node:fs';
import { SystemCallError } from '../../layers/index.ts';
import { call, prctl } from './syscalls.ts';

/** Moves the calling thread into a namespace (setns(2)): `fd` is an open file of /proc/PID/ns. */
export function enterOwn(fd: number, kind: number): void {
  call('int setns(int fd, int kind)', [fd, kind], { name: 'setns', subject: `0x${kind.toString(16)}` });
}

const PR_SET_PDEATHSIG = 1;
const PR_SET_DUMPABLE = 4;

/**
 * Nobody without CAP_SYS_PTRACE can look into this process, nor into its children until they execute something: a program that runs in
 * a container already could else reach this machine's files by their /proc/PID/exe (as in CVE-2019-5736).
 */
export function forbidInspection(): void {
  call(prctl, [PR_SET_DUMPABLE, 0, 0, 0, 0], { name: 'prctl', subject: 'PR_SET_DUMPABLE' });
}

/** Takes `dieWithParent` back. */
export function outliveParent(): void {
  call(prctl, [PR_SET_PDEATHSIG, 0, 0, 0, 0], { name: 'prctl', subject: 'PR_SET_PDEATHSIG' });
}

/** Standard input, output and error of this process are /dev/null from now on. */
export function muteStandardStreams(): void {
  const nothing = openSync('/dev/null', constants.O_RDWR);
  for (const stream of [0, 1, 2]) {
    call('int dup2(int from, int to)', [nothing, stream], { name: 'dup2', subject: String(stream) });
  }
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** asm-generic/ioctls.h */
const TIOCGPTN = 0x80045430;
const TIOCSPTLCK = 0x40045431;
const TIOCSWINSZ = 0x5414;
const O_NOCTTY = constants.O_NOCTTY;

function ioctl(fd: number, request: number, argument: Uint8Array): void {
  const prototype = 'int ioctl(int fd, unsigned long request, _Inout_ uint8_t *argument)';
  call(prototype, [fd, request, argument], { name: 'ioctl', subject: `0x${request.toString(16)}` });
}

export interface Terminal {
  /** The side of whoever shows it; closed on exec. */
  readonly master: number;
  /** The side of the program, as a path in the root of the calling thread. */
  readonly path: string;
}

/** A new terminal of the devpts in the calling thread's root; its other side belongs to the thread's user (pts(4)). */
export function openTerminal(size: TerminalSize): Terminal {
  const master = openSync('/dev/ptmx', constants.O_RDWR | O_NOCTTY);
  const number = Buffer.alloc(4);
  ioctl(master, TIOCSPTLCK, Buffer.alloc(4));
  ioctl(master, TIOCGPTN, number);
  resizeTerminal(master, size);
  return { master, path: `/dev/pts/${number.readUInt32LE(0)}` };
}

const F_DUPFD_CLOEXEC = 1030;

/** The same opened file by another number, closed on exec. */
export function duplicate(fd: number): number {
  return call('int fcntl(int fd, int command, long argument)', [fd, F_DUPFD_CLOEXEC, 0], {
    name: 'fcntl',
    subject: String(fd),
  });
}

export function resizeTerminal(master: number, { columns, rows }: TerminalSize): void {
  const size = Buffer.alloc(8); // struct winsize: rows, columns, and pixels, which nobody knows
  size.writeUInt16LE(rows, 0);
  size.writeUInt16LE(columns, 2);
  ioctl(master, TIOCSWINSZ, size);
}

export interface TerminalProgram {
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Path of the terminal. */
  readonly terminal: string;
}

/** spawn.h, the same in glibc and musl. */
const SPAWN = { setSignalDefaults: 0x04, setSignalMask: 0x08, setSession: 0x80 } as const;
/** More than any C library's posix_spawnattr_t (336 in glibc), file_actions_t (80) and sigset_t (128). */
const OPAQUE_BYTES = 512;

/**
 * Starts a program as the leader of a session whose controlling terminal is `terminal`: it is the first that a session leader
 * opens, which Node cannot make a child do. Namespaces, root, user and directory are those of the calling thread. Throws
 * ENOENT, EACCES, ENOEXEC, ...
 */
export function spawnOnTerminal({ path, argv, env, terminal }: TerminalProgram): number {
  const actions = Buffer.alloc(OPAQUE_BYTES);
  const attributes = Buffer.alloc(OPAQUE_BYTES);
  const signals = Buffer.alloc(OPAQUE_BYTES);
  const label = { name: 'posix_spawn', subject: path };
  const checked = (prototype: string, args: readonly unknown[]): void => {
    const code = call(prototype, args, label); // the error itself, not errno
    if (code > 0) throw new SystemCallError(label.name, code, path);
  };
  checked('int posix_spawnattr_init(uint8_t *attr)', [attributes]);
  checked('int posix_spawn_file_actions_init(uint8_t *actions)', [actions]);
  try {
    checked('int posix_spawnattr_setsigmask(uint8_t *attr, const uint8_t *set)', [attributes, signals]);
    checked('int sigfillset(uint8_t *set)', [signals]);
    checked('int posix_spawnattr_setsigdefault(uint8_t *attr, const uint8_t *set)', [attributes, signals]);
    const flags = SPAWN.setSession | SPAWN.setSignalDefaults | SPAWN.setSignalMask;
    checked('int posix_spawnattr_setflags(uint8_t *attr, short flags)', [attributes, flags]);
    const open =
      'int posix_spawn_file_actions_addopen(uint8_t *actions, int fd, const char *path, int flags, int mode)';
    checked(open, [actions, 0, terminal, constants.O_RDWR, 0]);
    const copy = 'int posix_spawn_file_actions_adddup2(uint8_t *actions, int from, int to)';
    for (const fd of [1, 2]) checked(copy, [actions, 0, fd]);
    const pid = new Int32Array(1);
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    checked(
      'int posix_spawn(_Out_ int *pid, const char *path, const uint8_t *actions, const uint8_t *attr, const char **argv, const char **env)',
      [pid, path, actions, attributes, [...argv, null], [...variables, null]],
    );
    return pid[0] ?? 0;
  } finally {
    checked('int posix_spawn_file_actions_destroy(uint8_t *actions)', [actions]);
    checked('int posix_spawnattr_destroy(uint8_t *attr)', [attributes]);
  }
}

export type WaitStatus = { readonly code: number } | { readonly signal: number };

const WNOHANG = 1;

/** How a child of the calling thread ended, which is reaped by that (wait(2)); undefined: it runs. */
export function lookupEnd(pid: number): WaitStatus | undefined {
  const status = new Int32Array(1);
  const prototype = 'int waitpid(int pid, _Out_ int *status, int options)';
  if (call(prototype, [pid, status, WNOHANG], { name: 'waitpid', subject: String(pid) }) === 0) return undefined;
  const word = status[0] ?? 0;
  const signal = word & 0x7f;
  return signal === 0 ? { code: (word >> 8) & 0xff } : { signal };
}

const CAPABILITY_VERSION_3 = 0x20080522;

export interface CapabilitySets {
  /** One bit each. */
  readonly effective: bigint;
  readonly permitted: bigint;
}

/** struct __user_cap_header_struct: version, pid (0: this thread) */
function capabilityHeader(): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(CAPABILITY_VERSION_3, 0);
  return header;
}

/** The two structures of capset(2). Nothing is inheritable. */
export function capsetArguments({ effective, permitted }: CapabilitySets): [Buffer, Buffer] {
  const data = Buffer.alloc(24); // two struct __user_cap_data_struct: effective, permitted, inheritable
  for (const half of [0, 1]) {
    const wordOf = (bits: bigint): number => Number((bits >> BigInt(32 * half)) & 0xffffffffn);
    data.writeUInt32LE(wordOf(effective), 12 * half);
    data.writeUInt32LE(wordOf(permitted), 12 * half + 4);
  }
  return [capabilityHeader(), data];
}

/** Leaves the calling thread these capabilities and no others. What is permitted only may be taken back. */
export function setCapabilities(sets: CapabilitySets): void {
  const label = { name: 'capset', subject: 'this thread' };
  call('int capset(uint8_t *header, const uint8_t *data)', capsetArguments(sets), label);
}

/** What the calling thread may have at most (capget(2)). */
export function permittedCapabilities(): bigint {
  const data = Buffer.alloc(24);
  const label = { name: 'capget', subject: 'this thread' };
  call('int capget(uint8_t *header, _Out_ uint8_t *data)', [capabilityHeader(), data], label);
  return BigInt(data.readUInt32LE(4)) | (BigInt(data.readUInt32LE(16)) << 32n);
}
