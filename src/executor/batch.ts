import { CHUNK_BYTES, ChunkPool } from './chunk-pool.ts';

/** Collects bytes into chunks of one size; files are read straight into them. */
export class Batch {
  readonly #pool: ChunkPool;
  #chunk: Buffer;
  #used = 0;
  #full: Uint8Array[] = [];
  #closedBytes = 0;

  constructor(pool = new ChunkPool()) {
    this.#pool = pool;
    this.#chunk = pool.take();
  }

  /** In the tar, of the next byte. */
  get position(): number {
    return this.#closedBytes + this.#used;
  }

  add(bytes: Uint8Array): void {
    const space = CHUNK_BYTES - this.#used;
    const [now, later] =
      bytes.byteLength <= space ? [bytes, undefined] : [bytes.subarray(0, space), bytes.subarray(space)];
    this.#chunk.set(now, this.#used);
    this.advance(now.byteLength);
    if (later) this.add(later);
  }

  /** Where the next bytes go; at least one. */
  space(): Uint8Array {
    return this.#chunk.subarray(this.#used);
  }

  advance(bytes: number): void {
    this.#used += bytes;
    if (this.#used === CHUNK_BYTES) this.#close();
  }

  get isFull(): boolean {
    return this.#full.length > 0;
  }

  take(): readonly Uint8Array[] {
    const chunks = this.#full;
    this.#full = [];
    return chunks;
  }

  /** What is left, at the end. */
  rest(): readonly Uint8Array[] {
    this.#close();
    return this.take();
  }

  #close(): void {
    const chunk = this.#chunk.subarray(0, this.#used);
    this.#closedBytes += this.#used;
    if (this.#used > 0) this.#full.push(chunk);
    this.#chunk = this.#pool.take();
    this.#used = 0;
  }
}
