import { type FileHandle, open } from 'node:fs/promises';
import { BuildError } from '../errors.ts';
import type { ByteStream } from '../oci/index.ts';

const CHUNK_BYTES = 1024 * 1024;

/** A file that a stream is compared with, so that bytes that are there need not be written again. */
export class Likeness {
  readonly #file: FileHandle;
  #buffers = [Buffer.allocUnsafeSlow(CHUNK_BYTES), Buffer.allocUnsafeSlow(CHUNK_BYTES)] as const;
  /** Bytes of the stream that were compared. */
  #size = 0;
  #isSame = true;
  #ahead: Promise<Buffer> = Promise.resolve(Buffer.alloc(0));

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** undefined: it cannot be read. */
  static async open(path: string): Promise<Likeness | undefined> {
    const file = await open(path, 'r').catch(() => undefined);
    return file && new Likeness(file);
  }

  /** Once the stream was read: its bytes were those of the file. */
  get isSame(): boolean {
    return this.#isSame;
  }

  /** Bytes that were the same. */
  get size(): number {
    return this.#size;
  }

  async close(): Promise<void> {
    await this.#ahead.catch(() => undefined);
    await this.#file.close();
  }

  /** Nothing, where the bytes are those of the file; else all of them. `onFree`: the chunk is needed no more. */
  async *differing(bytes: ByteStream, onFree?: (chunk: Uint8Array) => void): ByteStream {
    this.#readAhead();
    for await (const chunk of bytes) {
      if (this.#isSame) {
        const there = await this.#ahead;
        if (chunk.byteLength <= there.length && there.compare(chunk, 0, chunk.byteLength, 0, chunk.byteLength) === 0) {
          this.#size += chunk.byteLength;
          this.#readAhead();
          onFree?.(chunk);
          continue;
        }
        yield* this.#start();
      }
      yield chunk;
    }
    if (this.#isSame && (await this.#file.stat()).size !== this.#size) yield* this.#start();
  }

  /** While the stream makes its next bytes. */
  #readAhead(): void {
    this.#ahead = this.#read();
    this.#ahead.catch(() => undefined); // whoever awaits it is told
  }

  async #read(): Promise<Buffer> {
    const [buffer, other] = this.#buffers;
    this.#buffers = [other, buffer];
    const { bytesRead } = await this.#file.read(buffer, 0, CHUNK_BYTES, this.#size);
    return buffer.subarray(0, bytesRead);
  }

  /** What was equal so far. */
  async *#start(): ByteStream {
    this.#isSame = false;
    for (let at = 0; at < this.#size; ) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, this.#size - at));
      const { bytesRead } = await this.#file.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) throw new BuildError('E_CORRUPT_STORE', 'A blob was cut off while it was read');
      yield chunk.subarray(0, bytesRead);
      at += bytesRead;
    }
  }
}
