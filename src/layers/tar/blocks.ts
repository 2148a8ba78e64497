import { damaged } from './damaged.ts';
import { BLOCK } from './fields.ts';

/** What a parser asks its feeder for. Sizes are bytes and above 0. */
export type Request =
  /** Exactly so many bytes in one buffer, which the pusher may overwrite after the next request. `mayEnd`: the stream may end before them. */
  | ReadRequest
  /** So many bytes go to `data` as they come, or nowhere. */
  | { readonly kind: 'body' | 'skip'; readonly size: number };

interface ReadRequest {
  readonly kind: 'read';
  readonly size: number;
  readonly mayEnd?: boolean;
  /**
   * Most members of an archive are one header and a body: this takes such a header, and says how many bytes of body follow
   * it, or undefined. After body and padding comes the same request again; the parser hears nothing of it.
   */
  readonly takeSimple?: (block: Buffer) => number | undefined;
}

/** A parser written as straight code: it yields what it needs next and gets what it asked to read. */
export type BlockParser = Generator<Request, void, Buffer>;

const NOTHING = Buffer.alloc(0);
/** Their sizes are counted apart. */
const BODY: Request = { kind: 'body', size: 0 };
const PADDING: Request = { kind: 'skip', size: 0 };

/** Cuts pushed chunks into what a parser asks for. Holds at most one `read`. */
export class BlockFeeder {
  readonly #parser: BlockParser;
  readonly #data: (chunk: Uint8Array) => void;
  #isStarted = false;
  #request: Request | undefined;
  #left = 0;
  #gathered: Buffer[] = [];
  /** Of a simple member: what is asked for after it, and the padding before that. */
  #after: ReadRequest | undefined;
  #padding = 0;
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
        const end = at + Math.min(this.#left, chunk.length - at);
        if (this.#request.kind === 'skip') this.#skip(end - at);
        else this.#take(chunk.subarray(at, end), this.#request);
        at = end;
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
      if (this.#left === 0) this.#next();
      return;
    }
    if (part.length === request.size && request.takeSimple && this.#isSimple(part, request)) return;
    // a copy: the chunk belongs to its pusher again after the push
    if (this.#left > 0 || this.#gathered.length > 0) this.#gathered.push(Buffer.from(part));
    if (this.#left > 0) return;
    const whole = this.#gathered.length > 0 ? Buffer.concat(this.#gathered) : part;
    this.#gathered = [];
    this.#resume(whole);
  }

  #skip(bytes: number): void {
    this.#left -= bytes;
    this.#offset += bytes;
    if (this.#left === 0) this.#next();
  }

  #isSimple(block: Buffer, request: ReadRequest): boolean {
    const size = request.takeSimple?.(block);
    if (size === undefined) return false;
    this.#after = request;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (size === 0) this.#next();
    else {
      this.#request = BODY;
      this.#left = size;
    }
    return true;
  }

  /** After a body or what was skipped. */
  #next(): void {
    if (this.#after === undefined) return this.#resume(NOTHING);
    if (this.#padding > 0) {
      this.#request = PADDING;
      this.#left = this.#padding;
      this.#padding = 0;
      return;
    }
    this.#request = this.#after;
    this.#left = this.#after.size;
    this.#after = undefined;
  }

  /** A parser that ended takes no more bytes: what follows is not its business. */
  #resume(bytes: Buffer): void {
    const next = this.#parser.next(bytes);
    this.#request = next.done ? undefined : next.value;
    this.#left = this.#request?.size ?? 0;
  }
}
