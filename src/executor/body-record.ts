import { readFileSync } from 'node:fs';
import { type DiffId, isDigest, parseDiffId } from '../oci/index.ts';
import { writeWhole } from './whole-file.ts';

/** Bytes of a tar that have one checksum. */
export const TAR_CHUNK_BYTES = 1024 * 1024;

const MAGIC = 'tsbuild-bodies 1';
const SHA_BYTES = 32;
const NUMBER_BYTES = 6;
const ENTRY_BYTES = SHA_BYTES + 2 * NUMBER_BYTES;
const CRC_BYTES = 4;
/** Of two layers most files follow one another in the same order. */
const NEAR = 64;

/** A file's bytes in a tar. */
export interface TarBody {
  readonly offset: number;
  readonly size: number;
}

/** Where the files of a layer's tar lie, by sha256, and the CRC-32 of each of its chunks; collected while it is written. */
export class BodyRecorder {
  #entries = Buffer.allocUnsafe(ENTRY_BYTES * 1024);
  #count = 0;
  readonly #crcs: number[] = [];

  get count(): number {
    return this.#count;
  }

  add(sha256: string, { offset, size }: TarBody): void {
    const at = this.#count++ * ENTRY_BYTES;
    if (at + ENTRY_BYTES > this.#entries.length) this.#entries = Buffer.concat([this.#entries], at * 2);
    this.#entries.write(sha256, at, 'hex');
    this.#entries.writeUIntBE(offset, at + SHA_BYTES, NUMBER_BYTES);
    this.#entries.writeUIntBE(size, at + SHA_BYTES + NUMBER_BYTES, NUMBER_BYTES);
  }

  addChunk(crc: number): void {
    this.#crcs.push(crc);
  }

  /** Best effort: without it the next COPY reads its files. */
  save(file: string, diffId: string): void {
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

  get chunks(): number {
    return this.#crcs.length / CRC_BYTES;
  }

  /** Of a chunk; undefined: the tar has none there. */
  crcOf(chunk: number): number | undefined {
    return chunk < this.chunks ? this.#crcs.readUInt32BE(chunk * CRC_BYTES) : undefined;
  }

  find(sha256: string, size: number): TarBody | undefined {
    const position = this.#near(sha256) ?? this.#anywhere(sha256);
    if (position === undefined) return undefined;
    this.#next = position + 1;
    const at = position * ENTRY_BYTES + SHA_BYTES;
    const body = {
      offset: this.#entries.readUIntBE(at, NUMBER_BYTES),
      size: this.#entries.readUIntBE(at + NUMBER_BYTES, NUMBER_BYTES),
    };
    return body.size === size ? body : undefined;
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
