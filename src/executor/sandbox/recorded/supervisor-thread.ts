import { closeSync, constants, openSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { BuildError } from '../../../errors.ts';
import { CLONE, fchdir, joinMountNamespace, unshare } from '../syscalls.ts';
import type { Credentials } from './credentials.ts';
import { supervise } from './supervisor.ts';

export const SUPERVISOR = 'supervisor';

/** What the thread is told when the step has its root. Descriptors are those of the process. */
export interface SupervisorOrder {
  readonly listener: number;
  readonly stop: number;
  readonly initial: Credentials;
  /** PID 1 of the step, as seen here: the thread goes into its mount namespace. */
  readonly init: number;
}

export type SupervisorReport =
  | { readonly kind: 'started' }
  | { readonly kind: 'serving' }
  | { readonly kind: 'ended'; readonly failure?: string | undefined };

/** Entry of the thread that answers for one step. It says when it is there, when it answers, and when it has ended. */
export function serveSupervisor(): void {
  const port = parentPort;
  if (!port) throw new BuildError('E_INTERNAL', 'The supervisor was started as a program');
  const report = (message: SupervisorReport): void => port.postMessage(message);
  port.once('message', (order: SupervisorOrder) => {
    try {
      enter(order.init);
      report({ kind: 'serving' });
      report({ kind: 'ended', failure: textOf(supervise(order)) });
    } catch (error) {
      report({ kind: 'ended', failure: textOf(error) });
    } finally {
      // nobody answers any more: what still asks is told that there is no such call
      closeSync(order.listener);
      closeSync(order.stop);
      port.close();
    }
  });
  report({ kind: 'started' });
}

function enter(init: number): void {
  const proc = openSync('/proc', constants.O_RDONLY | constants.O_DIRECTORY);
  const mounts = openSync(`/proc/${init}/ns/mnt`, constants.O_RDONLY);
  try {
    unshare(CLONE.fs);
    joinMountNamespace(mounts);
    fchdir(proc);
  } finally {
    closeSync(proc);
    closeSync(mounts);
  }
}

const textOf = (error: unknown): string | undefined =>
  error === undefined ? undefined : error instanceof Error ? error.message : String(error);
