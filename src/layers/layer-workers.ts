import { availableParallelism } from 'node:os';
import { BuildError } from '../errors.ts';
import type { ByteStream, FileGrowth } from '../oci/index.ts';
import type { JobKind, JobOf, JobOutput } from './jobs.ts';
import { WorkerThread } from './worker-thread.ts';

/** More threads than this only wait for the disk. */
const MAX_THREADS = 4;
/** Files that one thread unpacks at once, turn by turn: each takes 1 MB. */
const MOST_FILES = 4;

export interface LayerWorkersOptions {
  /** Threads at once; default: as many as processors, at least 2, at most 4. */
  readonly limit?: number | undefined;
  /** Aborting ends what is being worked on with `E_CANCELLED`: hashing what a step left may take minutes. */
  readonly signal?: AbortSignal | undefined;
}

/** A thread that is to unpack a file; to be disposed. */
export interface UnpackPlace extends Disposable {
  /** See WorkerThread.follow. */
  follow(job: JobOf<'unpack'>, growth: FileGrowth | undefined): Promise<JobOutput<'unpack'> | undefined>;
}

/** What a thread unpacks beside its job. */
interface Load {
  files: number;
  bytes: number;
}

/**
 * The worker threads of the layers: started when there is work (about 40 ms each), then kept for more. Each does one job at a
 * time, and unpacks files beside it.
 */
export class LayerWorkers {
  readonly #idle: WorkerThread[] = [];
  readonly #waiting: ((thread: WorkerThread) => void)[] = [];
  readonly #limit: number;
  readonly #signal: AbortSignal | undefined;
  readonly #loads = new Map<WorkerThread, Load>();
  /** For a thread that can unpack one more file. */
  readonly #waitingFiles: (() => void)[] = [];

  constructor({ limit, signal }: LayerWorkersOptions = {}) {
    this.#limit = limit ?? Math.max(2, Math.min(MAX_THREADS, availableParallelism()));
    this.#signal = signal;
    signal?.addEventListener('abort', () => {
      for (const thread of this.#loads.keys()) thread.cancel();
    });
  }

  /** Starts a thread that will be needed soon, beside whatever comes first. */
  start(): void {
    if (this.#loads.size === 0) this.#idle.push(this.#startThread());
  }

  async run<Kind extends JobKind>(job: JobOf<Kind>): Promise<JobOutput<Kind>> {
    const output = await this.#use((thread) => thread.run(job));
    return output as JobOutput<Kind>; // The worker's answer to this kind of job (run-job.ts).
  }

  async feed(job: JobOf<'apply'>, bytes: ByteStream): Promise<JobOutput<'apply'>> {
    const output = await this.#use((thread) => thread.feed(job, bytes));
    return output as JobOutput<'apply'>; // as above
  }

  /**
   * All files that come are unpacked as they come, the threads having about as many bytes each: who asks for the largest first
   * gets them balanced.
   */
  async placeFor(bytes: number): Promise<UnpackPlace> {
    let thread = this.#leastLoaded();
    while (thread === undefined) {
      await new Promise<void>((resolve) => this.#waitingFiles.push(resolve));
      thread = this.#leastLoaded();
    }
    if (this.#signal?.aborted) throw new BuildError('E_CANCELLED', 'Cancelled before a layer was unpacked');
    const load = this.#loadOf(thread);
    load.files++;
    load.bytes += bytes;
    const chosen = thread;
    return {
      follow: async (job, growth) => {
        const output = await chosen.follow(job, growth);
        return output as JobOutput<'unpack'> | undefined; // as above
      },
      [Symbol.dispose]: () => {
        load.files--;
        load.bytes -= bytes;
        this.#waitingFiles.shift()?.();
      },
    };
  }

  async *stream(job: JobOf<'tar'>): ByteStream {
    const thread = await this.#next();
    try {
      yield* thread.stream(job);
    } finally {
      this.#release(thread);
    }
  }

  async #use<T>(work: (thread: WorkerThread) => Promise<T>): Promise<T> {
    const thread = await this.#next();
    try {
      return await work(thread);
    } finally {
      this.#release(thread);
    }
  }

  /** One without a job; rather one that unpacks nothing. */
  async #next(): Promise<WorkerThread> {
    this.#forgetDead();
    const alone = this.#idle.findIndex((thread) => this.#loadOf(thread).files === 0);
    const [idle] = this.#idle.splice(alone, 1);
    if (idle && alone >= 0) return idle;
    if (this.#hasRoom()) {
      if (idle) this.#idle.push(idle);
      return this.#startThread();
    }
    return idle ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  #leastLoaded(): WorkerThread | undefined {
    this.#forgetDead();
    const threads = [...this.#loads].sort(([, one], [, other]) => one.bytes - other.bytes);
    const [least] = threads;
    if (this.#hasRoom() && (least === undefined || least[1].files > 0)) {
      const thread = this.#startThread();
      this.#idle.push(thread);
      return thread;
    }
    return threads.find(([, { files }]) => files < MOST_FILES)?.[0];
  }

  #hasRoom(): boolean {
    this.#forgetDead();
    return this.#loads.size < this.#limit;
  }

  #forgetDead(): void {
    for (const thread of this.#loads.keys()) if (thread.isDead) this.#loads.delete(thread);
    const living = this.#idle.filter((thread) => !thread.isDead);
    this.#idle.splice(0, this.#idle.length, ...living);
  }

  #startThread(): WorkerThread {
    const thread = new WorkerThread();
    this.#loads.set(thread, { files: 0, bytes: 0 });
    return thread;
  }

  #loadOf(thread: WorkerThread): Load {
    return this.#loads.get(thread) ?? { files: 0, bytes: 0 };
  }

  #release(thread: WorkerThread): void {
    const next = this.#waiting.shift();
    if (next) next(thread.isDead ? this.#startThread() : thread);
    else if (!thread.isDead) this.#idle.push(thread);
  }
}
