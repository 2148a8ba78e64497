import { closeSync, openSync, readSync } from 'node:fs';
import type { ByteStream } from '../oci/index.ts';

const CHUNK = 128 * 1024;

/** The bytes of a file that somebody else writes: as far as he said that there are any, until he says that there are all. */
export class FileFeed {
  readonly #path: string;
  #size = 0;
  #isWhole = false;
  #error: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(path: string) {
    this.#path = path;
  }

  grown(size: number): void {
    this.#size = size;
    this.#wake();
  }

  end(): void {
    this.#isWhole = true;
    this.#wake();
  }

  /** The reader fails with it. */
  fail(error: Error): void {
    this.#error = error;
    this.#wake();
  }

  async *bytes(): ByteStream {
    const fd = openSync(this.#path, 'r');
    try {
      for (let at = 0; ; ) {
        if (this.#error) throw this.#error;
        const wanted = this.#isWhole ? CHUNK : Math.min(CHUNK, this.#size - at);
        if (wanted <= 0) {
          await new Promise<void>((resolve) => (this.#wake = resolve));
          continue;
        }
        const chunk = Buffer.allocUnsafeSlow(wanted);
        const got = readSync(fd, chunk, 0, wanted, at);
        if (got > 0) yield chunk.subarray(0, got);
        else if (this.#isWhole) return;
        at += got;
      }
    } finally {
      closeSync(fd);
    }
  }
}
