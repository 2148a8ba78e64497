import { constants, openSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { endThread } from '../../layers/index.ts';
import { lastCapability, limitCapabilities } from './capabilities.ts';
import { DEFAULT_CAPABILITIES } from './capability-names.ts';
import { becomeReaper, chroot, readAt, reapChildren } from './chroot-calls.ts';
import type { ProcessSpec } from './sandbox.ts';
import type { StepOrder, StepReport } from './step-order.ts';
import { describe, execute } from './step-thread.ts';
import { chdir, forbidNewPrivileges, umask } from './syscalls.ts';

/** What a process that runs one step without namespaces is told. */
export interface ChrootOrder extends Pick<StepOrder, 'spec' | 'stdout' | 'stderr'> {
  readonly isolation: 'chroot';
  /** A directory; everything that the step is to see is in it. */
  readonly root: string;
}

type Report = (message: StepReport) => void;

/** In the thread that becomes the step's user: changes the root of the whole process, and starts the step. */
export async function runChrootStep(order: ChrootOrder, report: Report): Promise<void> {
  try {
    const spec = withoutDevices(order.spec);
    const { settings } = spec;
    const last = lastCapability();
    umask(0o022);
    chroot(order.root);
    chdir('/');
    limitCapabilities(last, settings?.capabilities);
    if (settings?.noNewPrivileges) forbidNewPrivileges();
    report({
      kind: 'ended',
      status: await execute({ ...order, spec, owners: 'real' }, last, ({ pid }) => report({ kind: 'init', pid })),
    });
  } catch (error) {
    report(describe(error));
  }
}

/** As in a user namespace, where the capability is worth nothing: a step that makes a device fails on every rung. */
function withoutDevices(spec: ProcessSpec): ProcessSpec {
  const { capabilities = DEFAULT_CAPABILITIES } = spec.settings ?? {};
  return { ...spec, settings: { ...spec.settings, capabilities: capabilities.filter((name) => name !== 'MKNOD') } };
}

const REAP_MS = 500;
const KILL_MS = 5;

/**
 * In the main thread, which keeps its user and capabilities: reaps what the step orphans, and kills all that is left of it when
 * the step has ended, or when whoever ordered it is gone. This process is the ancestor of everything that the step starts.
 */
export async function superviseStep(order: ChrootOrder, worker: Worker): Promise<void> {
  becomeReaper();
  const tasks = openSync('/proc/self/task', constants.O_RDONLY | constants.O_DIRECTORY);
  let step: number | undefined;
  const reaping = setInterval(() => step !== undefined && reapChildren(step), REAP_MS);
  const ended = new Promise<void>((resolve) => {
    process.once('disconnect', resolve);
    worker.once('exit', () => resolve());
    worker.on('message', (report: StepReport) => {
      if (report.kind === 'init') step = report.pid;
      if (process.connected) process.send?.(report);
      if (report.kind === 'ended' || report.kind === 'failed') resolve();
    });
  });
  const threads = readdirSync('/proc/self/task');
  worker.postMessage(order);
  await ended;
  clearInterval(reaping);
  await killChildren(() => threads.flatMap((thread) => childrenOf(tasks, thread)), step);
  await endThread(worker);
  if (process.connected) process.send?.({ kind: 'gone' } satisfies StepReport, () => process.disconnect());
}

/** Killing a process makes its children ours, so it ends when nothing is left. */
async function killChildren(list: () => readonly number[], step: number | undefined): Promise<void> {
  for (let pids = list(); pids.length > 0; pids = list()) {
    for (const pid of pids) kill(pid);
    reapChildren(step);
    await sleep(KILL_MS);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ESRCH: it has ended by itself, which is what we want.
  }
}

/** The direct children of a thread (proc(5), /proc/PID/task/TID/children); none once the thread is gone. */
function childrenOf(tasks: number, thread: string): readonly number[] {
  try {
    return readAt(tasks, `${thread}/children`).trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
