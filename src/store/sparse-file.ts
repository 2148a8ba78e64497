import type { FileHandle } from 'node:fs/promises';

/** Shorter runs of zeros are written: a hole of a few blocks saves nothing. */
const SHORTEST_HOLE = 64 * 1024;
const ZEROS = Buffer.alloc(1024 * 1024);

const isZero = (chunk: Uint8Array): boolean =>
  chunk.byteLength >= SHORTEST_HOLE &&
  chunk.byteLength <= ZEROS.byteLength &&
  ZEROS.compare(chunk, 0, chunk.byteLength, 0, chunk.byteLength) === 0;

/** Writes chunks one after another into a new file; chunks of zeros become holes, which take no space. */
export class SparseFile {
  readonly #file: FileHandle;
  #size = 0;
  #endsInHole = false;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async add(chunk: Uint8Array): Promise<void> {
    this.#endsInHole = isZero(chunk);
    for (let at = 0; !this.#endsInHole && at < chunk.byteLength; ) {
      const { bytesWritten } = await this.#file.write(chunk, at, chunk.byteLength - at, this.#size + at);
      at += bytesWritten;
    }
    this.#size += chunk.byteLength;
  }

  /** Gives the file its length, where it ends in a hole. */
  async finish(): Promise<void> {
    if (this.#endsInHole) await this.#file.truncate(this.#size);
  }
}
