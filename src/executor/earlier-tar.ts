import { closeSync, fstatSync, openSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type BodyRecord, PIECE_BYTES, type TarBody } from './body-record.ts';
import { readFully } from './read-fully.ts';

/** How many times over the tar may be read, before reading the files is cheaper. */
const MOST_READS = 2;

/**
 * The tar of an earlier layer as a source of files that have not changed since: one file that is read in one go instead of
 * thousands that are opened. What was damaged meanwhile is not taken: each file has checksums.
 */
export class EarlierTar implements Disposable {
  readonly #record: BodyRecord;
  readonly #fd: number;
  readonly #window = Buffer.allocUnsafeSlow(PIECE_BYTES);
  /** In the tar: what is in the window. */
  #start = 0;
  #end = 0;
  /** Bytes that may still be read. */
  #budget: number;

  private constructor(record: BodyRecord, fd: number) {
    this.#record = record;
    this.#fd = fd;
    this.#budget = MOST_READS * fstatSync(fd).size;
  }

  /** undefined: the file is gone. */
  static open(record: BodyRecord, file: string): EarlierTar | undefined {
    try {
      return new EarlierTar(record, openSync(file, 'r'));
    } catch {
      return undefined;
    }
  }

  /** undefined: no file with these bytes is in it. */
  find(sha256: string, size: number): TarBody | undefined {
    return this.#record.find(sha256, size);
  }

  /** One of the file's pieces; undefined: it is not whole any more. A view that is valid until the next call. */
  read({ offset, size, crcs }: TarBody, piece: number): Uint8Array | undefined {
    const start = offset + piece * PIECE_BYTES;
    const length = Math.min(size - piece * PIECE_BYTES, PIECE_BYTES);
    if (start < this.#start || start + length > this.#end) this.#load(start);
    if (start + length > this.#end) return undefined;
    const bytes = this.#window.subarray(start - this.#start, start - this.#start + length);
    return crc32(bytes) === crcs[piece] ? bytes : undefined;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #load(start: number): void {
    this.#start = start;
    this.#end = start;
    this.#budget -= PIECE_BYTES;
    if (this.#budget < 0) return;
    try {
      this.#end = start + readFully(this.#fd, this.#window, start);
    } catch {
      this.#end = start; // the disk does not give it back: the file itself is read
    }
  }
}
