import { constants } from 'node:os';
import { capabilityBits, droppedCapabilities } from './capabilities.ts';
import { type Call, FAILURE, REPORT_BYTES, REPORT_FD, report } from './launch/index.ts';
import { capsetArguments } from './process-calls.ts';
import type { StepOrder } from './step-order.ts';

/** What the processes of a step are given as open files; 1 and 2 are the outputs of the step, and 3 takes the reports. */
export const ORDER_FD = 0;
export const LIFE_FD = 4;

/** What a report is about, with its two words. */
export const REPORT = {
  /** The result, and the call. */
  failed: FAILURE,
  /** PID 1 of the step; its number. */
  init: 1,
  /** /proc is that of the step. */
  ready: 2,
  /** A child that has ended; its number, and its status as in wait(2). */
  ended: 3,
} as const;

const PATH_MAX = 4096;
const CLONE_NEWPID = 0x20000000;
const MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8;
const AT_FDCWD = -100;
const F_SETFD_ALL = 4; // CLOSE_RANGE_CLOEXEC
const PR_CAPBSET_DROP = 24;
const PR_SET_NAME = 15;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4;

/**
 * The calls of a step's processes. The first one, which is not in the pid namespace of the step, starts PID 1 and waits for
 * the path of the program; an empty order is the end. Then it starts the program, and tells how both have ended.
 * `last`: the last capability of this kernel.
 */
export function stepCalls(order: StepOrder, last: number): readonly Call[] {
  const path = Buffer.alloc(PATH_MAX);
  return [...parentCalls(path), ...initCalls(order.proc), ...programCalls(order, path, last)];
}

const fork = (onZero: string): Call => ({ name: 'clone', args: [constants.signals.SIGCHLD], onZero });

function parentCalls(path: Buffer): readonly Call[] {
  const init = report(REPORT.init);
  const ended = report(REPORT.ended);
  const [pid, status] = [
    { bytes: ended, offset: 8 },
    { bytes: ended, offset: 16 },
  ];
  const wait = (label: string): readonly Call[] => [
    { name: 'wait4', label, args: [-1, status], result: pid },
    { name: 'write', args: [REPORT_FD, ended, REPORT_BYTES] },
  ];
  return [
    { name: 'unshare', args: [CLONE_NEWPID] },
    { ...fork('init'), result: { bytes: init, offset: 8 } },
    { name: 'write', args: [REPORT_FD, init, REPORT_BYTES] },
    { name: 'read', args: [ORDER_FD, path, PATH_MAX - 1], onZero: 'rest' },
    fork('program'),
    ...wait('program or init'),
    ...wait('rest'),
    { name: 'exit_group', args: [0] },
  ];
}

/**
 * It does nothing, with all capabilities, so the step may not look into it: what is orphaned is reaped by the kernel for a
 * parent that ignores SIGCHLD, and the reader notices when we die.
 */
function initCalls(proc: StepOrder['proc']): readonly Call[] {
  const ignoring = Buffer.alloc(32); // struct sigaction of the kernel: handler, flags, restorer, mask
  ignoring.writeBigUInt64LE(1n); // SIG_IGN
  return [
    { name: 'setsid', label: 'init' },
    { name: 'prctl', args: [PR_SET_NAME, 'tsbuild-init'] },
    ...(proc === 'own' ? [{ name: 'mount', args: ['proc', '/proc', 'proc', MS_NOSUID_NODEV_NOEXEC] }] : []),
    { name: 'rt_sigaction', args: [constants.signals.SIGCHLD, ignoring, 0, 8] },
    { name: 'write', args: [REPORT_FD, report(REPORT.ready), REPORT_BYTES] },
    { name: 'read', args: [LIFE_FD, Buffer.alloc(1), 1] },
    { name: 'exit_group', args: [0] },
  ];
}

/** As `execute` of the thread does it to itself, in the same order. */
function programCalls({ spec, filter }: StepOrder, path: Buffer, last: number): readonly Call[] {
  const { argv, env, uid, gid, groups, cwd, settings } = spec;
  const list = Buffer.from(Uint32Array.from(groups).buffer);
  const kept = capabilityBits(last, settings?.capabilities);
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return [
    { name: 'setsid', label: 'program' },
    { name: 'close', args: [ORDER_FD] },
    { name: 'openat', args: [AT_FDCWD, '/dev/null', 0] }, // the lowest number that is free
    { name: 'close_range', args: [REPORT_FD, 0xffffffff, F_SETFD_ALL] },
    ...droppedCapabilities(last, settings?.capabilities).map((number) => ({
      name: 'prctl',
      args: [PR_CAPBSET_DROP, number],
    })),
    ...(settings?.noNewPrivileges ? [{ name: 'prctl', args: [PR_SET_NO_NEW_PRIVS, 1] }] : []),
    ...(filter === undefined ? [] : filterCalls(filter)),
    { name: 'setgroups', args: [groups.length, list] },
    { name: 'setresgid', args: [gid, gid, gid] },
    { name: 'setresuid', args: [uid, uid, uid] },
    // any other user has lost them all
    ...(uid === 0 ? [{ name: 'capset', args: capsetArguments({ effective: kept, permitted: kept }) }] : []),
    { name: 'chdir', args: [cwd] },
    { name: 'execve', args: [path, { words: [...argv, 0] }, { words: [...variables, 0] }] },
  ];
}

/** Without the flag, kernels before 5.16 slow a filtered process down; see `installFilter`. */
function filterCalls(filter: Uint8Array): readonly Call[] {
  const program = { words: [filter.length / 8, filter] }; // struct sock_fprog: len, filter
  return [
    {
      name: 'seccomp',
      args: [SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, program],
      onError: 'older kernel',
      onZero: 'filtered',
    },
    { name: 'seccomp', label: 'older kernel', args: [SECCOMP_SET_MODE_FILTER, 0, program] },
    { name: 'getpid', label: 'filtered' },
  ];
}
