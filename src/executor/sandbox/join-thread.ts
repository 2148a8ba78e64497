import { systemErrorCode } from '../../errors.ts';
import { dropCapabilities, lastCapability, limitCapabilities } from './capabilities.ts';
import { enterOwn, forbidInspection } from './process-calls.ts';
import { runProgram, type StepStreams } from './process-start.ts';
import { lookupProgram } from './program.ts';
import type { ExitStatus } from './sandbox.ts';
import { installFilter } from './seccomp/index.ts';
import type { SandboxSettings } from './settings.ts';
import { becomeUser, CLONE, chdir, forbidNewPrivileges, umask, unshare } from './syscalls.ts';

/** What is started in a container that runs. Ids are those inside the namespace. */
export interface JoinedProgram {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly settings?: Pick<SandboxSettings, 'capabilities' | 'noNewPrivileges' | 'seccomp'> | undefined;
}

export interface JoinOrder {
  /** Open files of /proc/PID/ns with their CLONE_ flags, the mount namespace last. */
  readonly namespaces: readonly { readonly fd: number; readonly kind: number }[];
  readonly program: JoinedProgram;
  readonly streams: StepStreams;
  /** As that of `StepOrder`. */
  readonly filter: Uint8Array | undefined;
}

export type JoinReport =
  | { readonly kind: 'started'; readonly pid: number; readonly terminal?: number }
  | { readonly kind: 'ended'; readonly status: ExitStatus }
  | { readonly kind: 'failed'; readonly reason: string };

/** Runs a program in the namespaces of a container, with no more rights than its own have. As `runStep`, once a thread. */
export async function runInside(order: JoinOrder, report: (message: JoinReport) => void): Promise<void> {
  try {
    const { settings } = order.program;
    const last = lastCapability();
    // the working directory and root of the thread alone change with the mount namespace
    unshare(CLONE.fs);
    umask(0o022);
    // what we start is seen by the container's processes before it executes, with our memory and descriptors (CVE-2016-9962)
    forbidInspection();
    for (const { fd, kind } of order.namespaces) enterOwn(fd, kind);
    limitCapabilities(last, settings?.capabilities);
    if (settings?.noNewPrivileges) forbidNewPrivileges();
    if (order.filter !== undefined) installFilter(Buffer.from(order.filter));
    report({ kind: 'ended', status: await execute(order, last, report) });
  } catch (error) {
    report({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
  }
}

async function execute(
  { program, streams }: JoinOrder,
  last: number,
  report: (message: JoinReport) => void,
): Promise<ExitStatus> {
  const { argv, env, cwd } = program;
  becomeUser(program);
  if (program.uid === 0) dropCapabilities(last, program.settings?.capabilities);
  try {
    chdir(cwd);
  } catch (error) {
    const reason = `cannot enter the working directory "${cwd}": ${systemErrorCode(error)}`;
    return { kind: 'not-started', reason };
  }
  const found = lookupProgram(argv[0] ?? '', env);
  if ('reason' in found) return { kind: 'not-started', reason: found.reason };
  return runProgram({ path: found.path, argv, env, streams, onStarted: (at) => report({ kind: 'started', ...at }) });
}
