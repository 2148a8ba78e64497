import { damaged } from './damaged.ts';

/** What a parser asks its feeder for. Sizes are bytes and above 0. */
export type Request =
  /** Exactly so many bytes in one buffer, which the pusher may overwrite after the next request. `mayEnd`: the stream may end before them. */
  | { readonly kind: 'read'; readonly size: number; readonly mayEnd?: boolean }
  /** So many bytes go to `data` as they come, or nowhere. */
  | { readonly kind: 'body' | 'skip'; readonly size: number };

/** A parser written as straight code: it yields what it needs next and gets what it asked to read. */
export type BlockParser = Generator<Request, void, Buffer>;

const NOTHING = Buffer.alloc(0);

/** Cuts pushed chunks into what a parser asks for. Holds at most one `read`. */
export class BlockFeeder {
  readonly #parser: BlockParser;
  readonly #data: (chunk: Uint8Array) => void;
  #isStarted = false;
  #request: Request | undefined;
  #left = 0;
  #gathered: Buffer[] = [];
  #offset = 0;

  constructor(parser: BlockParser, data: (chunk: Uint8Array) => void) {
    this.#parser = parser;
    this.#data = data;
  }

  /** Of the first byte that was not taken yet; while the parser runs: of what it asks for next. */
  get offset(): number {
    return this.#offset;
  }

  push(bytes: Uint8Array): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    try {
      this.#start();
      let at = 0;
      while (at < chunk.length && this.#request !== undefined) {
        const part = chunk.subarray(at, at + Math.min(this.#left, chunk.length - at));
        at += part.length;
        this.#take(part, this.#request);
      }
    } catch (error) {
      // Takes nothing any more, and can only end in an error.
      this.#request = { kind: 'skip', size: Number.POSITIVE_INFINITY };
      this.#left = Number.POSITIVE_INFINITY;
      throw error;
    }
  }

  /** Whether the stream may end here. Throws `E_BAD_LAYER` otherwise. */
  finish(): void {
    this.#start();
    const request = this.#request;
    if (request === undefined) return;
    if (request.kind === 'read' && request.mayEnd && this.#left === request.size) return;
    throw damaged(
      `it ends at byte ${this.#offset}, in the middle of ${request.kind === 'body' ? 'a file' : 'an entry'}`,
    );
  }

  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#resume(NOTHING);
  }

  #take(part: Buffer, request: Request): void {
    this.#left -= part.length;
    this.#offset += part.length;
    if (request.kind === 'body') this.#data(part);
    if (request.kind !== 'read') {
      if (this.#left === 0) this.#resume(NOTHING);
      return;
    }
    // a copy: the chunk belongs to its pusher again after the push
    if (this.#left > 0 || this.#gathered.length > 0) this.#gathered.push(Buffer.from(part));
    if (this.#left > 0) return;
    const whole = this.#gathered.length > 0 ? Buffer.concat(this.#gathered) : part;
    this.#gathered = [];
    this.#resume(whole);
  }

  /** A parser that ended takes no more bytes: what follows is not its business. */
  #resume(bytes: Buffer): void {
    const next = this.#parser.next(bytes);
    this.#request = next.done ? undefined : next.value;
    this.#left = this.#request?.size ?? 0;
  }
}
