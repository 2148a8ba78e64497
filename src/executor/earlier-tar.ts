import { closeSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type BodyRecord, TAR_CHUNK_BYTES, type TarBody } from './body-record.ts';

/** How many times over the tar may be read, before reading the files is cheaper. */
const MOST_READS = 2;

/**
 * The tar of an earlier layer as a source of files that have not changed since: one file that is read in one go instead of
 * thousands that are opened. What was damaged meanwhile is not taken: each chunk has a checksum.
 */
export class EarlierTar implements Disposable {
  readonly #record: BodyRecord;
  readonly #fd: number;
  readonly #chunk = Buffer.allocUnsafeSlow(TAR_CHUNK_BYTES);
  #loaded: { readonly index: number; readonly length: number } | undefined;
  #reads = 0;
  #isDamaged = false;

  private constructor(record: BodyRecord, fd: number) {
    this.#record = record;
    this.#fd = fd;
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
    return this.#isDamaged ? undefined : this.#record.find(sha256, size);
  }

  /** The bytes of a file from `from` on, as far as they are whole. A view that is valid until the next call. */
  read({ offset, size }: TarBody, from: number): Uint8Array {
    const at = offset + from;
    const index = Math.floor(at / TAR_CHUNK_BYTES);
    if (this.#loaded?.index !== index && !this.#load(index)) return new Uint8Array();
    const start = at - index * TAR_CHUNK_BYTES;
    return this.#chunk.subarray(start, Math.min(start + size - from, this.#loaded?.length ?? 0));
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #load(index: number): boolean {
    this.#loaded = undefined;
    this.#reads++;
    const expected = this.#record.crcOf(index);
    const length = this.#readChunk(index);
    const isWhole = length > 0 && expected === crc32(this.#chunk.subarray(0, length));
    this.#isDamaged ||= !isWhole || this.#reads > MOST_READS * this.#record.chunks;
    if (isWhole) this.#loaded = { index, length };
    return isWhole;
  }

  #readChunk(index: number): number {
    let length = 0;
    try {
      for (;;) {
        const n = readSync(this.#fd, this.#chunk, length, TAR_CHUNK_BYTES - length, index * TAR_CHUNK_BYTES + length);
        length += n;
        if (n === 0 || length === TAR_CHUNK_BYTES) return length;
      }
    } catch {
      return 0; // the disk does not give it back: the file itself is read
    }
  }
}
