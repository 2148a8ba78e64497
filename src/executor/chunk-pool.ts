/** Of a chunk: keeps memory low and the event loop awake. */
export const CHUNK_BYTES = 1024 * 1024;

/** Chunks of a tar that are filled again once they were written: new memory for each costs as much as copying it. */
export class ChunkPool {
  readonly #spare: Buffer[] = [];

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
  }

  /** The memory of a chunk that was taken; nobody reads it any more. */
  give({ buffer }: Uint8Array): void {
    if (buffer.byteLength === CHUNK_BYTES) this.#spare.push(Buffer.from(buffer));
  }
}
