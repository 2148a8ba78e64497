import { TAR_CHUNK_BYTES } from './body-record.ts';

/** Chunks of a tar that are filled again once they were written: new memory for each costs as much as copying it. */
export class ChunkPool {
  readonly #spare: Buffer[] = [];

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(TAR_CHUNK_BYTES);
  }

  /** The memory of a chunk that was taken; nobody reads it any more. */
  give({ buffer }: Uint8Array): void {
    if (buffer.byteLength === TAR_CHUNK_BYTES) this.#spare.push(Buffer.from(buffer));
  }
}
