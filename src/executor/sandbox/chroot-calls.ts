import { closeSync, readFileSync } from 'node:fs';
import { call } from './syscalls.ts';

const PROTOTYPE = 'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)';
const PR_SET_PDEATHSIG = 1;
const PR_SET_DUMPABLE = 4;
const PR_SET_CHILD_SUBREAPER = 36;

const prctl = (option: number, value: number, subject: string): number =>
  call(PROTOTYPE, [option, value, 0, 0, 0], { name: 'prctl', subject });

/**
 * This process becomes the parent of every orphan among its descendants (PR_SET_CHILD_SUBREAPER), lives on when its own
 * parent ends, and may not be traced by a root that has no CAP_SYS_PTRACE.
 */
export function becomeReaper(): void {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 'PR_SET_CHILD_SUBREAPER');
  prctl(PR_SET_PDEATHSIG, 0, 'PR_SET_PDEATHSIG');
  hideFromTracers();
}

/** See `becomeReaper`. */
export const hideFromTracers = (): void => void prctl(PR_SET_DUMPABLE, 0, 'PR_SET_DUMPABLE');

/** Of the whole process, or of a thread that shares its root with no other. */
export function chroot(path: string): void {
  call('int chroot(const char *path)', [path], { name: 'chroot', subject: path });
}

/** asm-generic/fcntl.h */
const O_CLOEXEC = 0o2000000;

/** Reads a file below an opened directory, which may lie outside of the root of this process. */
export function readAt(directoryFd: number, path: string): string {
  const prototype = 'int openat(int fd, const char *path, int flags)';
  const fd = call(prototype, [directoryFd, path, O_CLOEXEC], { name: 'openat', subject: path });
  try {
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

const P_ALL = 0;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x1000000;
/** Of siginfo_t on 64 bits: three ints, padding, then the id of the child. */
const SI_PID = 16;

/** Reaps the children of this process that have ended, up to the first that is `except`. ECHILD: there are none. */
export function reapChildren(except: number | undefined): void {
  for (;;) {
    const info = Buffer.alloc(128);
    const prototype = 'int waitid(int kind, int id, _Inout_ uint8_t *info, int options)';
    try {
      call(prototype, [P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT], { name: 'waitid', subject: 'any' });
    } catch {
      return;
    }
    const pid = info.readInt32LE(SI_PID);
    if (pid === 0 || pid === except) return;
    call('int waitpid(int pid, void *status, int options)', [pid, null, WNOHANG], {
      name: 'waitpid',
      subject: String(pid),
    });
  }
}
