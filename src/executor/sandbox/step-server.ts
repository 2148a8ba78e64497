import { openSync } from 'node:fs';
import { lastCapability } from './capabilities.ts';
import { chroot } from './chroot-calls.ts';
import { buildRootfs, enterRootfs } from './rootfs.ts';
import type { ExitStatus } from './sandbox.ts';
import type { StepOrder, StepReport } from './step-order.ts';
import { type StepProcesses, startProcesses } from './step-processes.ts';
import { findProgram } from './step-rights.ts';
import { describe, isolate, ownKeyring } from './step-thread.ts';
import { CLONE, fchdir, joinMountNamespace, O_PATH, unshare } from './syscalls.ts';

type Report = (message: StepReport) => void;

/**
 * Starts one step after the other in the calling thread, which enters the namespaces of each and leaves them again. What
 * nobody can take back (the bounding set, the filter, the user) the step's own process does to itself: `step-calls.ts`.
 * The thread must stay in the network that its first step has: all its steps have the host's, or none of them.
 */
export class StepServer {
  readonly #last = lastCapability();
  readonly #namespace: number;
  readonly #root: number;

  constructor() {
    unshare(CLONE.fs);
    this.#namespace = openSync('/proc/thread-self/ns/mnt', 'r');
    this.#root = openSync('/', O_PATH);
  }

  /** Resolves when all of the step is gone. Throws where the thread cannot be used any more. */
  async run(order: StepOrder, report: Report): Promise<void> {
    const started = this.#start(order, report);
    if (started === undefined) return report({ kind: 'gone' });
    const { processes, refusal } = started;
    try {
      const status = refusal ?? (await processes.ended);
      if (status !== undefined) report({ kind: 'ended', status });
    } catch (error) {
      report(describe(error));
    }
    await processes.gone;
    report({ kind: 'gone' });
  }

  /** No asynchronous call may happen here: the thread is in other namespaces, with another root. */
  #start(order: StepOrder, report: Report): Started | undefined {
    let processes: StepProcesses | undefined;
    try {
      isolate(order);
      ownKeyring(order);
      processes = startProcesses(order, this.#last);
      report({ kind: 'init', pid: processes.init });
      report({ kind: 'built', stubs: buildRootfs(order) });
      enterRootfs();
      const program = findProgram(order.spec, this.#last);
      const refusal = 'reason' in program ? ({ kind: 'not-started', reason: program.reason } as const) : undefined;
      processes.start('path' in program ? program.path : undefined);
      return { processes, refusal };
    } catch (error) {
      report(describe(error));
      processes?.start(undefined);
      return processes && { processes, refusal: undefined };
    } finally {
      this.#leave();
    }
  }

  /** Back to the mounts and the root that the thread began with; nothing of the step is kept by it. */
  #leave(): void {
    joinMountNamespace(this.#namespace);
    fchdir(this.#root);
    chroot('.');
    unshare(CLONE.ipc | CLONE.uts);
  }
}

interface Started {
  readonly processes: StepProcesses;
  /** Why the program was not started. */
  readonly refusal: ExitStatus | undefined;
}
