import type { Row } from './block.ts';

const FIRST_BYTES = 64 * 1024;
const LENGTH_BYTES = 4;
/** What a row takes in memory beside its key and value. */
const ROW_BYTES = 60;

/** Rows in memory. Values lie in one buffer: hundreds of thousands of objects would cost more than all else. */
export class FreshRows {
  #places = new Map<string, number>();
  #values = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #used = 0;
  #keyBytes = 0;

  get count(): number {
    return this.#places.size;
  }

  /** Bytes of memory, roughly. */
  get size(): number {
    return this.#used + this.#keyBytes;
  }

  put(key: string, value: Uint8Array): void {
    const end = this.#used + LENGTH_BYTES + value.length;
    if (end > this.#values.length) this.#grow(2 * end);
    this.#values.writeUInt32LE(value.length, this.#used);
    this.#values.set(value, this.#used + LENGTH_BYTES);
    this.#places.set(key, this.#used);
    this.#used = end;
    this.#keyBytes += key.length + ROW_BYTES;
  }

  get(key: string): Buffer | undefined {
    const place = this.#places.get(key);
    return place === undefined ? undefined : this.#valueAt(place);
  }

  *rows(): Generator<Row> {
    for (const key of [...this.#places.keys()].sort()) yield { key, value: this.#valueAt(this.#places.get(key) ?? 0) };
  }

  clear(): void {
    this.#places = new Map();
    this.#used = 0;
    this.#keyBytes = 0;
  }

  #valueAt(place: number): Buffer {
    const start = place + LENGTH_BYTES;
    return this.#values.subarray(start, start + this.#values.readUInt32LE(place));
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(bytes);
    this.#values.copy(larger, 0, 0, this.#used);
    this.#values = larger;
  }
}
