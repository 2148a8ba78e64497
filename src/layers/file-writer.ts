import { ftruncateSync, writeSync } from 'node:fs';
import { setOpenAttributes, type Writing } from './attributes.ts';
import { closeRead, closeWritten, createAt } from './syscalls.ts';
import type { TarEntry } from './tar/entry.ts';

/** Files below this are written as they are: looking for zeros costs more than it saves. */
const SPARSE_FROM = 1024 * 1024;
const ZEROS = Buffer.alloc(64 * 1024);

type FileEntry = Extract<TarEntry, { readonly type: 'file' }>;

/** What is made, where. */
interface NewFile {
  readonly entry: FileEntry;
  /** Open. */
  readonly directory: number;
  readonly name: string;
  /** For calls that take no descriptor. */
  readonly at: string;
}

/** Writes one new file; runs of zeros in a large one become holes. */
export class FileWriter {
  readonly #fd: number;
  readonly #file: NewFile;
  readonly #writing: Writing;
  #position = 0;
  #endsInHole = false;

  private constructor(fd: number, file: NewFile, writing: Writing) {
    this.#fd = fd;
    this.#file = file;
    this.#writing = writing;
  }

  /** `EEXIST` where something has the name. */
  static create(file: NewFile, writing: Writing): FileWriter {
    // without the special bits: what they mean depends on the owner, who comes later
    return new FileWriter(createAt(file.directory, file.name, file.entry.mode & 0o777), file, writing);
  }

  write(bytes: Uint8Array): void {
    const step = this.#file.entry.size < SPARSE_FROM ? bytes.byteLength : ZEROS.length;
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
    const { entry, name, at } = this.#file;
    setOpenAttributes(this.#fd, at, entry, this.#writing);
    closeWritten(this.#fd, name);
  }

  abandon(): void {
    closeRead(this.#fd);
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
