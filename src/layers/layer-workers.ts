import { availableParallelism } from 'node:os';
import type { ByteStream, FileGrowth } from '../oci/index.ts';
import type { JobKind, JobOf, JobOutput } from './jobs.ts';
import { WorkerThread } from './worker-thread.ts';

/** More threads than this only wait for the disk. */
const MAX_THREADS = 4;

export interface LayerWorkersOptions {
  /** Threads at once; default: as many as processors, at least 2, at most 4. */
  readonly limit?: number | undefined;
  /** Aborting ends what is being worked on with `E_CANCELLED`: hashing what a step left may take minutes. */
  readonly signal?: AbortSignal | undefined;
}

/** The worker threads of the layers: started when there is work (about 40 ms each), then kept for more. */
export class LayerWorkers {
  readonly #idle: WorkerThread[] = [];
  readonly #waiting: ((thread: WorkerThread) => void)[] = [];
  readonly #limit: number;
  readonly #busy = new Set<WorkerThread>();
  #count = 0;

  constructor({ limit, signal }: LayerWorkersOptions = {}) {
    this.#limit = limit ?? Math.max(2, Math.min(MAX_THREADS, availableParallelism()));
    signal?.addEventListener('abort', () => {
      for (const thread of this.#busy) thread.cancel();
    });
  }

  /** Starts a thread that will be needed soon, beside whatever comes first. */
  start(): void {
    if (this.#count > 0) return;
    this.#count++;
    this.#idle.push(new WorkerThread());
  }

  async run<Kind extends JobKind>(job: JobOf<Kind>): Promise<JobOutput<Kind>> {
    const output = await this.#use((thread) => thread.run(job));
    return output as JobOutput<Kind>; // The worker's answer to this kind of job (run-job.ts).
  }

  async feed(job: JobOf<'apply'>, bytes: ByteStream): Promise<JobOutput<'apply'>> {
    const output = await this.#use((thread) => thread.feed(job, bytes));
    return output as JobOutput<'apply'>; // as above
  }

  /** See WorkerThread.follow. */
  async follow(job: JobOf<'unpack'>, growth: FileGrowth | undefined): Promise<JobOutput<'unpack'> | undefined> {
    const output = await this.#use((thread) => thread.follow(job, growth));
    return output as JobOutput<'unpack'> | undefined; // as above
  }

  async *stream(job: JobOf<'tar'>): ByteStream {
    const thread = await this.#take();
    try {
      yield* thread.stream(job);
    } finally {
      this.#release(thread);
    }
  }

  async #use<T>(work: (thread: WorkerThread) => Promise<T>): Promise<T> {
    const thread = await this.#take();
    try {
      return await work(thread);
    } finally {
      this.#release(thread);
    }
  }

  async #take(): Promise<WorkerThread> {
    const thread = await this.#next();
    this.#busy.add(thread);
    return thread;
  }

  async #next(): Promise<WorkerThread> {
    const idle = this.#idle.pop();
    if (idle) return idle;
    if (this.#count < this.#limit) {
      this.#count++;
      return new WorkerThread();
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #release(thread: WorkerThread): void {
    this.#busy.delete(thread);
    const next = this.#waiting.shift();
    if (thread.isDead) this.#count--;
    if (!next) {
      if (!thread.isDead) this.#idle.push(thread);
      return;
    }
    if (thread.isDead) this.#count++;
    next(thread.isDead ? new WorkerThread() : thread);
  }
}
