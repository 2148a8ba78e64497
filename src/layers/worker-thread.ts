import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { type BuildError, hintForOpenFiles } from '../errors.ts';
import type { ByteStream, FileGrowth } from '../oci/index.ts';
import { CHUNKS_ON_THE_WAY, type FromWorker, type Job, type JobOf, type SentError, type ToWorker } from './jobs.ts';
import { endThread, startThread } from './native-threads.ts';
import { fromSent } from './worker-errors.ts';

/** Beside the bundle; where the sources run as they are (tests), the one that the last build made. */
const workerFile = (): URL =>
  import.meta.url.endsWith('.ts')
    ? new URL('../../dist/layers-worker.cjs', import.meta.url)
    : new URL('./layers-worker.cjs', import.meta.url);

/** V8 would take 48 MB for short-lived objects in each thread. */
const YOUNG_MB = 6;

type Outcome = Extract<FromWorker, { readonly type: 'done' | 'failed' }>;

/** One thread; does one job at a time, and unpacks files beside it. While it is idle it does not keep the process alive. */
export class WorkerThread {
  readonly #worker = startThread(workerFile(), { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } });
  readonly #messages: FromWorker[] = [];
  #wake: () => void = () => undefined;
  #isDead = false;
  #job: Job['kind'] | undefined;
  #users = 0;
  /** Of the files that are unpacked. */
  readonly #lines = new Map<MessagePort, (outcome: Outcome) => void>();

  constructor() {
    this.#worker.on('message', (message: FromWorker) => this.#add(message));
    this.#worker.on('error', (error: unknown) => this.#die(error));
    this.#worker.on('exit', () => this.#die(new Error('the thread ended')));
    this.#worker.unref();
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Ends the thread in the middle of its job, which fails with `E_CANCELLED`. What only removes goes on. */
  cancel(): void {
    if (this.#isDead) return;
    for (const line of this.#lines.keys()) line.postMessage({ type: 'abort' } satisfies ToWorker);
    if (this.#job === undefined || this.#job === 'remove') return;
    this.#end({ code: 'E_CANCELLED', message: 'Cancelled while layers were worked on' });
    void endThread(this.#worker);
  }

  /** A job without a stream. */
  async run(job: Job): Promise<unknown> {
    return this.#busy(async () => {
      this.#start(job);
      return this.#outcome();
    });
  }

  /** A job that eats a stream. When the stream fails, the job is given up and the stream's error thrown. */
  async feed(job: JobOf<'apply'>, bytes: ByteStream): Promise<unknown> {
    return this.#busy(async () => {
      this.#start(job);
      const returned: ArrayBuffer[] = [];
      let onTheWay = 0;
      try {
        for await (const chunk of bytes) {
          const bytes = ownCopy(chunk, returned.pop());
          this.#send({ type: 'chunk', bytes }, [bytes.buffer]);
          for (onTheWay++; onTheWay >= CHUNKS_ON_THE_WAY; onTheWay--) {
            const buffer = await this.#credit();
            if (buffer) returned.push(buffer);
          }
        }
      } catch (error) {
        if (!(error instanceof JobFailed)) await this.#giveUp();
        throw error instanceof JobFailed ? error.reason : error;
      }
      this.#send({ type: 'end' });
      return this.#outcome();
    });
  }

  /**
   * Unpacks a file which may grow, beside whatever the thread does. Where that fails it is given up and the reason thrown; undefined:
   * what the file was meant to hold is elsewhere.
   */
  async follow(job: JobOf<'unpack'>, growth: FileGrowth | undefined): Promise<unknown> {
    const { port1: line, port2: port } = new MessageChannel();
    const seen: { isElsewhere?: true; failure?: { readonly cause: unknown } } = {};
    const tell = (message: ToWorker): void => line.postMessage(message); // to nobody, after its end
    this.#hold();
    const outcome = new Promise<Outcome>((resolve) => {
      this.#lines.set(line, resolve);
      line.on('message', resolve);
    });
    this.#send({ type: 'unpack', job, port }, [port]);
    growth?.watch((size) => tell({ type: 'grown', size }));
    const whole = growth?.whole ?? Promise.resolve('here' as const);
    whole.then(
      (where) => {
        tell({ type: where === 'here' ? 'end' : 'abort' });
        if (where === 'elsewhere') seen.isElsewhere = true;
      },
      (cause: unknown) => {
        tell({ type: 'abort' });
        seen.failure = { cause };
      },
    );
    const ended = await outcome;
    this.#lines.delete(line);
    line.close();
    this.#letGo();
    if (ended.type === 'done') return ended.output;
    if (seen.isElsewhere) return undefined;
    throw seen.failure ? seen.failure.cause : fromSent(ended.error);
  }

  /** A job that makes a stream. Leaving the stream early gives the job up. */
  async *stream(job: JobOf<'tar'>): ByteStream {
    this.#hold();
    this.#start(job);
    let isOver = false;
    try {
      for (;;) {
        const message = await this.#next();
        if (message.type === 'chunk') {
          yield message.bytes;
          this.#send({ type: 'credit' });
          continue;
        }
        isOver = message.type === 'done' || message.type === 'failed';
        if (message.type === 'failed') throw fromSent(message.error);
        if (isOver) return;
      }
    } finally {
      if (!isOver) await this.#giveUp();
      this.#job = undefined;
      this.#letGo();
    }
  }

  async close(): Promise<void> {
    await endThread(this.#worker);
  }

  async #busy<T>(work: () => Promise<T>): Promise<T> {
    this.#hold();
    try {
      return await work();
    } finally {
      this.#job = undefined;
      this.#letGo();
    }
  }

  #hold(): void {
    if (this.#users++ === 0) this.#worker.ref();
  }

  #letGo(): void {
    if (--this.#users === 0) this.#worker.unref();
  }

  #start(job: Job): void {
    this.#job = job.kind;
    this.#send({ type: 'start', job });
  }

  async #outcome(): Promise<unknown> {
    for (;;) {
      const message = await this.#next();
      if (message.type === 'done') return message.output;
      if (message.type === 'failed') throw fromSent(message.error);
    }
  }

  async #credit(): Promise<ArrayBuffer | undefined> {
    const message = await this.#next();
    if (message.type === 'failed') throw new JobFailed(fromSent(message.error));
    return message.type === 'credit' ? message.buffer : undefined;
  }

  async #giveUp(): Promise<void> {
    if (this.#isDead) return;
    this.#send({ type: 'abort' });
    await this.#outcome().catch(() => undefined); // The cause is already on its way to the caller.
  }

  async #next(): Promise<FromWorker> {
    for (;;) {
      const message = this.#messages.shift();
      if (message) return message;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #send(message: ToWorker, transfer: readonly (ArrayBuffer | MessagePort)[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #add(message: FromWorker): void {
    this.#messages.push(message);
    this.#wake();
  }

  #die(cause: unknown): void {
    if (this.#isDead) return;
    const why = cause instanceof Error ? cause.message : String(cause);
    const hint = hintForOpenFiles(cause);
    this.#end({ code: 'E_INTERNAL', message: `The layers thread failed: ${why}`, hint });
  }

  #end(error: SentError): void {
    this.#isDead = true;
    const outcome = { type: 'failed', error } as const;
    this.#add(outcome);
    for (const resolve of this.#lines.values()) resolve(outcome);
  }
}

const BUFFER_BYTES = 256 * 1024;

/**
 * A copy that can be given away: cloning a view would clone all of the buffer that it looks into. Buffers go back and forth:
 * left to the garbage collector, they pile up in both threads.
 */
function ownCopy(chunk: Uint8Array, returned: ArrayBuffer | undefined): Uint8Array<ArrayBuffer> {
  const isEnough = returned !== undefined && returned.byteLength >= chunk.byteLength;
  const buffer = isEnough ? returned : new ArrayBuffer(Math.max(BUFFER_BYTES, chunk.byteLength));
  const bytes = new Uint8Array(buffer, 0, chunk.byteLength);
  bytes.set(chunk);
  return bytes;
}

/** Tells the job's own failure from the stream's. */
class JobFailed extends Error {
  readonly reason: BuildError;

  constructor(reason: BuildError) {
    super(reason.message);
    this.reason = reason;
  }
}
