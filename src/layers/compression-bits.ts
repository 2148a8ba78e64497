import type { ByteStream } from '../oci/index.ts';

/** Bits, most significant first, from a stream of bytes. Synchronous between two calls of `fill`. */
export class BitInput {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #lookahead: number;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #bits = 0;
  #count = 0;
  #isEnded = false;

  /** After `fill`, `lookahead` bytes can be read, or all there are. */
  constructor(bytes: ByteStream, lookahead: number) {
    this.#source = bytes[Symbol.asyncIterator]();
    this.#lookahead = lookahead;
  }

  /** More was read than there was; the excess bits were zero. */
  get isOverrun(): boolean {
    return this.#at - (this.#count >> 3) > this.#bytes.length;
  }

  async fill(): Promise<void> {
    if (this.#isEnded || this.#bytes.length - this.#at >= this.#lookahead) return;
    const chunks: Uint8Array[] = [this.#bytes.subarray(this.#at)];
    let length = this.#bytes.length - this.#at;
    // Twice as much, so that what remains is not copied for every block.
    while (length < 2 * this.#lookahead) {
      const { done, value } = await this.#source.next();
      if (done) {
        this.#isEnded = true;
        break;
      }
      chunks.push(value);
      length += value.byteLength;
    }
    this.#bytes = Buffer.concat(chunks);
    this.#at = 0;
  }

  async close(): Promise<void> {
    if (!this.#isEnded) await this.#source.return?.();
  }

  /** At a byte border: whether bytes follow. */
  async hasMore(): Promise<boolean> {
    await this.fill();
    return this.#bytes.length - this.#at + (this.#count >> 3) > 0;
  }

  /** The next `count` bits (at most 24) without taking them. */
  peek(count: number): number {
    while (this.#count < count) {
      this.#bits = (this.#bits << 8) | (this.#bytes[this.#at++] ?? 0);
      this.#count += 8;
    }
    return (this.#bits >>> (this.#count - count)) & (2 ** count - 1);
  }

  drop(count: number): void {
    this.#count -= count;
  }

  read(count: number): number {
    const value = this.peek(count);
    this.#count -= count;
    return value;
  }

  /** Drops the rest of a byte. */
  align(): void {
    this.#count -= this.#count % 8;
  }
}
