import { closeSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import { BuildError } from '../../../errors.ts';
import { endThread, startThread } from '../../../layers/index.ts';
import { installFilter } from '../seccomp/index.ts';
import { createPipe } from '../syscalls.ts';
import { credentialsOf } from './credentials.ts';
import { recordingFilter } from './filter.ts';
import { RECORDED_CALLS } from './supervisor.ts';
import { SUPERVISOR, type SupervisorOrder, type SupervisorReport } from './supervisor-thread.ts';

export interface FirstProcess {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/**
 * Lets a step believe in owners and users that it cannot have: its calls about them go to a supervisor, in a thread of its
 * own because the thread of the step is filtered itself.
 */
export class Recorder {
  readonly #worker: Worker;
  readonly #started: Promise<void>;
  readonly #ended: Promise<string | undefined>;
  #serving: () => void = () => undefined;
  #stop: number | undefined;

  /** To be made before the thread leaves its pid namespace: no thread can be started after that. */
  constructor(entry: URL) {
    this.#worker = startThread(entry, {
      env: {},
      stdin: false,
      trackUnmanagedFds: false,
      workerData: { role: SUPERVISOR },
    });
    let started: () => void = () => undefined;
    this.#started = new Promise((resolve) => {
      started = resolve;
    });
    this.#ended = new Promise((resolve) => {
      this.#worker.on('message', (report: SupervisorReport) => {
        if (report.kind === 'started') started();
        else if (report.kind === 'serving') this.#serving();
        else resolve(report.failure);
      });
      this.#worker.once('error', (error) => resolve(error.message));
      this.#worker.once('exit', () => resolve('its thread ended'));
    });
  }

  /** The thread runs. */
  get ready(): Promise<void> {
    return this.#started;
  }

  /** From here on the calling thread, and what it starts, is answered for. It has the step's root already. */
  async begin(init: number, { uid, gid, groups }: FirstProcess): Promise<void> {
    const program = recordingFilter(RECORDED_CALLS);
    const listener = program && installFilter(program, { listener: true });
    if (listener === undefined) {
      throw new BuildError('E_UNSUPPORTED', `Cannot record owners on ${process.arch}: its system calls are not known`, {
        hint: 'Install uidmap, and give this user a range in /etc/subuid and /etc/subgid',
      });
    }
    const { read, write } = createPipe();
    this.#stop = write;
    const order: SupervisorOrder = { listener, stop: read, init, initial: credentialsOf(uid, gid, groups) };
    const serving = new Promise<undefined>((resolve) => {
      this.#serving = () => resolve(undefined);
    });
    this.#worker.postMessage(order);
    throwIf(await Promise.race([serving, this.#ended]));
  }

  /** Ends it, and throws `E_SANDBOX` where it has failed: what it recorded is not whole then. */
  async end(): Promise<void> {
    if (this.#stop === undefined) {
      await endThread(this.#worker);
      return;
    }
    closeSync(this.#stop);
    this.#stop = undefined;
    throwIf(await this.#ended);
  }
}

function throwIf(failure: string | undefined): void {
  if (failure === undefined) return;
  throw new BuildError('E_SANDBOX', `Cannot record the owners of a step's files: ${failure}`, {
    hint: 'Install uidmap, and give this user a range in /etc/subuid and /etc/subgid: then owners are real',
  });
}
