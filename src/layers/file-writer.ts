import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs';
import { setOpenAttributes, type Writing } from './attributes.ts';
import type { TarEntry } from './tar/entry.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
/** Files below this are written as they are: looking for zeros costs more than it saves. */
const SPARSE_FROM = 1024 * 1024;
const ZEROS = Buffer.alloc(64 * 1024);

type FileEntry = Extract<TarEntry, { readonly type: 'file' }>;

/** Writes one new file; runs of zeros in a large one become holes. */
export class FileWriter {
  readonly #fd: number;
  readonly #path: string;
  readonly #entry: FileEntry;
  readonly #writing: Writing;
  #position = 0;
  #endsInHole = false;

  private constructor(fd: number, path: string, { entry, writing }: { entry: FileEntry; writing: Writing }) {
    this.#fd = fd;
    this.#path = path;
    this.#entry = entry;
    this.#writing = writing;
  }

  /** `EEXIST` where something has the name. */
  static create(path: string, entry: FileEntry, writing: Writing): FileWriter {
    // without the special bits: what they mean depends on the owner, who comes later
    const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, entry.mode & 0o777);
    return new FileWriter(fd, path, { entry, writing });
  }

  write(bytes: Uint8Array): void {
    const step = this.#entry.size < SPARSE_FROM ? bytes.byteLength : ZEROS.length;
    for (let at = 0; at < bytes.byteLength; at += step) {
      const piece = bytes.subarray(at, at + step);
      if (step === ZEROS.length && isZero(piece)) this.skip(piece.byteLength);
      else this.#put(piece);
    }
  }

  /** A hole that the archive itself declares. */
  skip(size: number): void {
    this.#position += size;
    this.#endsInHole = true;
  }

  finish(): void {
    if (this.#endsInHole) ftruncateSync(this.#fd, this.#position);
    setOpenAttributes(this.#fd, this.#path, this.#entry, this.#writing);
    closeSync(this.#fd);
  }

  abandon(): void {
    closeSync(this.#fd);
  }

  #put(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.byteLength; ) {
      done += writeSync(this.#fd, bytes, done, bytes.byteLength - done, this.#position + done);
    }
    this.#position += bytes.byteLength;
    this.#endsInHole = false;
  }
}

const isZero = (bytes: Uint8Array): boolean => ZEROS.compare(bytes, 0, bytes.byteLength, 0, bytes.byteLength) === 0;
