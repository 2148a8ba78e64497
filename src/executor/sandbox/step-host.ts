import { type ChildProcess, fork } from 'node:child_process';
import type { Worker } from 'node:worker_threads';
import { endThread } from '../../layers/index.ts';
import { endOf } from './forked.ts';
import type { ServedOrder, ServedReport, StepOrder, StepReport } from './step-order.ts';

/** What runs one step, and then ends. */
export interface StepHost {
  start(order: StepOrder, listener: StepListener): void;
  /** Before `start` only. */
  stop(): Promise<void>;
}

export interface StepListener {
  readonly onReport: (report: StepReport) => void;
  readonly onFailure: (cause: unknown) => void;
  readonly onEnd: () => void;
}

/** A thread of this process: 40 ms less than a process, and it may be ready before it is needed. */
export class StepThread implements StepHost {
  readonly #worker: Worker;

  constructor(worker: Worker) {
    this.#worker = worker;
  }

  start(order: StepOrder, { onReport, onFailure, onEnd }: StepListener): void {
    this.#worker.on('message', onReport);
    this.#worker.once('error', onFailure);
    this.#worker.once('exit', onEnd);
    this.#worker.postMessage(order);
  }

  async stop(): Promise<void> {
    await endThread(this.#worker);
  }
}

/** A thread that runs many steps, also at once: it is started once, where a thread for each takes 40 ms of a processor. */
export class StepServerThread {
  readonly #worker: Worker;
  readonly #running = new Map<number, StepListener>();
  #steps = 0;
  #hasEnded = false;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.unref();
    worker.on('message', ({ id, report }: ServedReport) => {
      this.#running.get(id)?.onReport(report);
      if (report.kind === 'gone') this.#end(id);
    });
    worker.once('error', (cause) => {
      for (const listener of this.#running.values()) listener.onFailure(cause);
    });
    worker.once('exit', () => {
      this.#hasEnded = true;
      for (const id of this.#running.keys()) this.#end(id);
    });
  }

  /** It takes no more steps. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** For one step. */
  createHost(): StepHost {
    return {
      start: (order, listener) => {
        const id = this.#steps++;
        this.#running.set(id, listener);
        this.#worker.ref();
        this.#worker.postMessage({ id, order } satisfies ServedOrder);
      },
      stop: () => Promise.resolve(),
    };
  }

  terminate(): void {
    void endThread(this.#worker);
  }

  #end(id: number): void {
    const listener = this.#running.get(id);
    this.#running.delete(id);
    if (this.#running.size === 0) this.#worker.unref();
    listener?.onEnd();
  }
}

/** Where a process of its own finds the step's outputs. */
const STDOUT = 3;
const STDERR = 4;

/**
 * A process of its own, for steps with limits: those belong to a process, and a step must have them from its first
 * instruction on. The thread that runs the step is in there (`worker.ts`).
 */
export class StepProcess implements StepHost {
  readonly #child: ChildProcess;

  /** Of the process that has the step's threads. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  constructor(entry: URL, { stdout, stderr }: Pick<StepOrder, 'stdout' | 'stderr'>) {
    this.#child = fork(entry, {
      env: {},
      execArgv: [],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', stdout, stderr, 'ipc'],
    });
  }

  start(order: StepOrder, { onReport, onFailure, onEnd }: StepListener): void {
    this.#child.on('message', (message) => onReport(message as StepReport)); // sent by `relay`
    this.#child.once('error', (cause) => {
      onFailure(cause);
      if (this.#child.pid === undefined) onEnd(); // it never began
    });
    void endOf(this.#child).then(onEnd);
    this.#child.send({ ...order, stdout: STDOUT, stderr: STDERR });
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}
