import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type DiffId, isDigest, parseDiffId } from '../oci/index.ts';
import { writeWhole } from './whole-file.ts';

/** Bytes of a file that have one checksum; the last ones of a file are fewer. */
export const PIECE_BYTES = 1024 * 1024;

const MAGIC = 'tsbuild-bodies 2';
const SHA_BYTES = 32;
const NUMBER_BYTES = 6;
const CRC_BYTES = 4;
/** sha256, where the file begins in the tar, its size, and the number of its first checksum. */
const ENTRY_BYTES = SHA_BYTES + 2 * NUMBER_BYTES + CRC_BYTES;
const AT = { offset: SHA_BYTES, size: SHA_BYTES + NUMBER_BYTES, crc: SHA_BYTES + 2 * NUMBER_BYTES } as const;
/** Of two layers most files follow one another in the same order. */
const NEAR = 64;

/** A file's bytes in a tar. */
export interface TarBody {
  readonly offset: number;
  readonly size: number;
  /** CRC-32 of each of its pieces. */
  readonly crcs: readonly number[];
}

/** CRC-32 of the pieces of a file that comes bit by bit. */
export class PieceCrcs {
  readonly values: number[] = [];
  #filled = PIECE_BYTES;

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; ) {
      if (this.#filled === PIECE_BYTES) {
        this.values.push(0);
        this.#filled = 0;
      }
      const part = bytes.subarray(at, at + PIECE_BYTES - this.#filled);
      this.values.push(crc32(part, this.values.pop()));
      this.#filled += part.byteLength;
      at += part.byteLength;
    }
  }
}

/** Where the files of a layer's tar lie, by sha256, with checksums; collected while it is written. */
export class BodyRecorder {
  #entries = Buffer.allocUnsafe(ENTRY_BYTES * 1024);
  #count = 0;
  readonly #crcs: number[] = [];

  get count(): number {
    return this.#count;
  }

  add(sha256: string, { offset, size, crcs }: TarBody): void {
    const at = this.#count++ * ENTRY_BYTES;
    if (at + ENTRY_BYTES > this.#entries.length) this.#entries = Buffer.concat([this.#entries], at * 2);
    this.#entries.write(sha256, at, 'hex');
    this.#entries.writeUIntBE(offset, at + AT.offset, NUMBER_BYTES);
    this.#entries.writeUIntBE(size, at + AT.size, NUMBER_BYTES);
    this.#entries.writeUInt32BE(this.#crcs.length, at + AT.crc);
    for (const crc of crcs) this.#crcs.push(crc);
  }

  /** Best effort: without it the next COPY reads its files. */
  save(file: string, diffId: DiffId): void {
    const head = Buffer.from(`${MAGIC} ${diffId} ${this.#count}\n`);
    const crcs = Buffer.allocUnsafe(this.#crcs.length * CRC_BYTES);
    for (const [at, crc] of this.#crcs.entries()) crcs.writeUInt32BE(crc, at * CRC_BYTES);
    writeWhole(file, Buffer.concat([head, this.#entries.subarray(0, this.#count * ENTRY_BYTES), crcs]));
  }
}

/** What a `BodyRecorder` kept of one layer. */
export class BodyRecord {
  /** Of the layer. */
  readonly diffId: DiffId;
  readonly #entries: Buffer;
  readonly #crcs: Buffer;
  #next = 0;
  #bySha: ReadonlyMap<string, number> | undefined;

  private constructor(diffId: DiffId, entries: Buffer, crcs: Buffer) {
    this.diffId = diffId;
    this.#entries = entries;
    this.#crcs = crcs;
  }

  /** undefined: there is none. */
  static load(file: string): BodyRecord | undefined {
    let bytes: Buffer;
    try {
      bytes = readFileSync(file);
    } catch {
      return undefined;
    }
    const start = bytes.indexOf('\n') + 1;
    const [, magic, diffId = '', count] = /^(.*) (\S+) (\d{1,9})\n$/.exec(bytes.toString('latin1', 0, start)) ?? [];
    const end = start + Number(count) * ENTRY_BYTES;
    if (magic !== MAGIC || !isDigest(diffId) || end > bytes.length || (bytes.length - end) % CRC_BYTES > 0)
      return undefined;
    return new BodyRecord(parseDiffId(diffId), bytes.subarray(start, end), bytes.subarray(end));
  }

  find(sha256: string, size: number): TarBody | undefined {
    const position = this.#near(sha256) ?? this.#anywhere(sha256);
    if (position === undefined) return undefined;
    this.#next = position + 1;
    const at = position * ENTRY_BYTES;
    if (this.#entries.readUIntBE(at + AT.size, NUMBER_BYTES) !== size) return undefined;
    const crcs = this.#crcsFrom(this.#entries.readUInt32BE(at + AT.crc), Math.ceil(size / PIECE_BYTES));
    return crcs && { offset: this.#entries.readUIntBE(at + AT.offset, NUMBER_BYTES), size, crcs };
  }

  /** undefined: so many are not there, so the record is damaged. */
  #crcsFrom(first: number, count: number): readonly number[] | undefined {
    if ((first + count) * CRC_BYTES > this.#crcs.length) return undefined;
    return Array.from({ length: count }, (_, piece) => this.#crcs.readUInt32BE((first + piece) * CRC_BYTES));
  }

  get #count(): number {
    return this.#entries.length / ENTRY_BYTES;
  }

  #shaAt(position: number): string {
    return this.#entries.toString('hex', position * ENTRY_BYTES, position * ENTRY_BYTES + SHA_BYTES);
  }

  #near(sha256: string): number | undefined {
    const end = Math.min(this.#next + NEAR, this.#count);
    for (let position = this.#next; position < end; position++) {
      if (this.#shaAt(position) === sha256) return position;
      if (this.#bySha) return undefined; // looking it up is cheaper
    }
    return undefined;
  }

  #anywhere(sha256: string): number | undefined {
    this.#bySha ??= new Map(Array.from({ length: this.#count }, (_, position) => [this.#shaAt(position), position]));
    return this.#bySha.get(sha256);
  }
}
