import { BuildError } from '../errors.ts';
import type { ByteStream } from '../oci/index.ts';

/** Chunks on their way from who makes them to who takes them; the maker is never held up. */
export class ChunkQueue {
  readonly #limit: number;
  readonly #onOverflow: () => void;
  #chunks: Uint8Array[] = [];
  #waiting = 0;
  #state: 'open' | 'ended' | 'overflown' = 'open';
  #isTaken = false;
  #wake: () => void = () => undefined;

  /** With more than `limit` bytes waiting everything is dropped, and the reader fails. */
  constructor(limit: number, onOverflow: () => void) {
    this.#limit = limit;
    this.#onOverflow = onOverflow;
  }

  add(chunk: Uint8Array): void {
    if (this.#state !== 'open') return;
    this.#chunks.push(chunk);
    this.#waiting += chunk.byteLength;
    if (this.#waiting > this.#limit) {
      this.#state = 'overflown';
      this.#chunks = [];
      this.#onOverflow();
    }
    this.#wake();
  }

  end(): void {
    if (this.#state === 'open') this.#state = 'ended';
    this.#wake();
  }

  /** A body that can be opened once: what was taken is gone. */
  once(): () => ByteStream {
    return () => this.#read();
  }

  async *#read(): ByteStream {
    if (this.#isTaken) throw new BuildError('E_UNAVAILABLE', 'What was sent already cannot be sent again');
    this.#isTaken = true;
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk) {
        this.#waiting -= chunk.byteLength;
        yield chunk;
      } else if (this.#state === 'open') await new Promise<void>((resolve) => (this.#wake = resolve));
      else if (this.#state === 'ended') return;
      else throw new BuildError('E_UNAVAILABLE', 'The registry takes the bytes too slowly');
    }
  }
}
