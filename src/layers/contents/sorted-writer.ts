import { writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { BlockBuilder } from './block.ts';
import { Packer, Unpacker } from './packed.ts';

/** The first bytes of a file; the number is the version of all that is in it. */
export const BEGINNING = Buffer.from('tsbuild tree  2\n');

/** Where a block lies in the file, and the CRC-32 of its bytes. */
export interface BlockPointer {
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
}

/** How to find everything else. */
export interface SortedRoot extends BlockPointer {
  /** Levels of blocks of pointers above those of rows. */
  readonly depth: number;
}

/** Offset, depth, length and CRC-32 of the root, size of the file, CRC-32 of these. */
export const TRAILER_BYTES = 32;

const WRITE_BYTES = 256 * 1024;

export function decodePointer(bytes: Buffer | undefined): BlockPointer {
  const unpacker = new Unpacker(bytes ?? Buffer.alloc(0));
  return { offset: unpacker.number(), length: unpacker.number(), crc: unpacker.number() };
}

/**
 * Writes rows, which come in ascending order and without equal keys, as a file in which they are found by key: blocks of rows, above
 * them blocks of pointers (each with the checksum of what it points to), up to one root that the end of the file names. Memory: a
 * block a level.
 */
export class SortedWriter {
  readonly #fd: number;
  readonly #levels: BlockBuilder[] = [];
  readonly #pointer = new Packer();
  readonly #pending = Buffer.allocUnsafeSlow(WRITE_BYTES);
  #pendingBytes = 0;
  #offset = 0;

  constructor(fd: number) {
    this.#fd = fd;
    this.#write(BEGINNING);
  }

  add(key: string, value: Uint8Array): void {
    this.#add(0, key, value);
  }

  finish(): SortedRoot {
    let depth = 0;
    // an empty file has one empty block
    let root = this.#flush(0);
    for (let level = 1; level < this.#levels.length; level++) {
      if (this.#levels[level]?.rows === 1 && level === this.#levels.length - 1) break;
      root = this.#flush(level);
      depth = level;
    }
    this.#write(encodeTrailer({ ...root, depth }, this.#offset + TRAILER_BYTES));
    this.#send();
    return { ...root, depth };
  }

  #add(level: number, key: string, value: Uint8Array): void {
    const builder = this.#levels[level] ?? new BlockBuilder();
    this.#levels[level] = builder;
    // not before the next one comes: the last block of a level is never empty
    if (builder.isFull) this.#flush(level);
    builder.add(key, value);
  }

  #flush(level: number): BlockPointer {
    const { first, bytes } = this.#levels[level]?.take() ?? { first: '', bytes: Buffer.alloc(0) };
    const pointer = { offset: this.#offset, length: bytes.length, crc: crc32(bytes) };
    this.#write(bytes);
    const packed = this.#pointer.number(pointer.offset).number(pointer.length).number(pointer.crc).take();
    // a copy: the level above may be full, and have a pointer to itself made before it takes this one
    this.#add(level + 1, first, Buffer.from(packed));
    return pointer;
  }

  #write(bytes: Uint8Array): void {
    this.#offset += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + WRITE_BYTES - this.#pendingBytes);
      this.#pending.set(part, this.#pendingBytes);
      this.#pendingBytes += part.length;
      at += part.length;
      if (this.#pendingBytes === WRITE_BYTES) this.#send();
    }
  }

  #send(): void {
    for (let at = 0; at < this.#pendingBytes; ) at += writeSync(this.#fd, this.#pending, at, this.#pendingBytes - at);
    this.#pendingBytes = 0;
  }
}

function encodeTrailer({ offset, length, crc, depth }: SortedRoot, fileSize: number): Buffer {
  const bytes = Buffer.alloc(TRAILER_BYTES);
  bytes.writeUIntLE(offset, 0, 6);
  bytes.writeUInt16LE(depth, 6);
  bytes.writeUInt32LE(length, 8);
  bytes.writeUInt32LE(crc, 12);
  bytes.writeUIntLE(fileSize, 16, 6);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, TRAILER_BYTES - 4)), TRAILER_BYTES - 4);
  return bytes;
}

/** undefined: not the end of a file of this size. */
export function decodeTrailer(bytes: Buffer, fileSize: number): SortedRoot | undefined {
  const isWhole = bytes.readUInt32LE(TRAILER_BYTES - 4) === crc32(bytes.subarray(0, TRAILER_BYTES - 4));
  if (!isWhole || bytes.readUIntLE(16, 6) !== fileSize) return undefined;
  return {
    offset: bytes.readUIntLE(0, 6),
    depth: bytes.readUInt16LE(6),
    length: bytes.readUInt32LE(8),
    crc: bytes.readUInt32LE(12),
  };
}
