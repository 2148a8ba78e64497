import { Worker } from 'node:worker_threads';
import { BuildError } from '../errors.ts';

export interface BlobJob {
  /** A new file. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
}

/** Chunks are given away, and come back. */
export type ToBlobThread = Uint8Array<ArrayBuffer> | 'end';
export type FromBlobThread =
  | { readonly type: 'free'; readonly buffer: ArrayBuffer }
  /** All of it is on the disk. Hex. */
  | { readonly type: 'done'; readonly sha256: string }
  | { readonly type: 'failed'; readonly code: string | undefined; readonly message: string };

/** Chunks on the way: whoever makes them goes on while the thread starts (30 ms), or waits for the disk. */
const MOST_CHUNKS = 8;

/** Beside the bundle; where the sources run as they are (tests), the one that the last build made. */
const workerFile = (): URL =>
  import.meta.url.endsWith('.ts')
    ? new URL('../../dist/blob-worker.cjs', import.meta.url)
    : new URL('./blob-worker.cjs', import.meta.url);

/** Hashes and writes one blob beside whoever makes its bytes. */
export class BlobThread {
  readonly #worker: Worker;
  readonly #onFree: (chunk: Uint8Array) => void;
  #onTheWay = 0;
  #wake: () => void = () => undefined;
  #sha256: string | undefined;
  #failure: unknown;

  constructor(job: BlobJob, onFree: (chunk: Uint8Array) => void) {
    this.#onFree = onFree;
    this.#worker = new Worker(workerFile(), { workerData: job });
    this.#worker.on('message', (message: FromBlobThread) => this.#receive(message));
    this.#worker.on('error', (cause) => this.#fail(brokenThread(cause)));
    this.#worker.on('exit', () => this.#fail(brokenThread('it ended')));
  }

  /** The chunk is given away with its buffer. Throws what the file system said, with its `code`. */
  async add(chunk: Uint8Array): Promise<void> {
    const own = isOwn(chunk) ? chunk : new Uint8Array(chunk);
    this.#worker.postMessage(own satisfies ToBlobThread, [own.buffer]);
    this.#onTheWay++;
    await this.#until(() => this.#onTheWay < MOST_CHUNKS);
  }

  /** The sha256 in hex, once all is on the disk. */
  async finish(): Promise<string> {
    this.#worker.postMessage('end' satisfies ToBlobThread);
    await this.#until(() => this.#sha256 !== undefined);
    return this.#sha256 ?? '';
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }

  #receive(message: FromBlobThread): void {
    if (message.type === 'failed') return this.#fail(Object.assign(new Error(message.message), { code: message.code }));
    if (message.type === 'done') this.#sha256 = message.sha256;
    else {
      this.#onTheWay--;
      this.#onFree(new Uint8Array(message.buffer));
    }
    this.#wake();
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #fail(cause: unknown): void {
    this.#failure ??= cause;
    this.#wake();
  }
}

const isOwn = (chunk: Uint8Array): chunk is Uint8Array<ArrayBuffer> =>
  chunk.buffer instanceof ArrayBuffer && chunk.byteOffset === 0;

function brokenThread(cause: unknown): BuildError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BuildError('E_INTERNAL', `The thread that writes blobs failed: ${why}`, { cause });
}
