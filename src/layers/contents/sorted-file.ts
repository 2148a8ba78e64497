import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { BuildError } from '../../errors.ts';
import { Block, type Row } from './block.ts';
import {
  BEGINNING,
  type BlockPointer,
  decodePointer,
  decodeTrailer,
  type SortedRoot,
  TRAILER_BYTES,
} from './sorted-writer.ts';

/** Of blocks that were read, as bytes of the file. */
const KEPT_BYTES = 512 * 1024;

const descriptors = new FinalizationRegistry<number>(closeSync);

/** What `SortedWriter` wrote, looked up in the file: a look-up reads a block a level, some are kept. Throws `E_CORRUPT_STORE` at damage. */
export class SortedFile {
  readonly #fd: number;
  readonly #root: SortedRoot;
  readonly #onDamage: () => void;
  /** By offset; the one used last comes last. */
  readonly #blocks = new Map<number, Block>();
  #keptBytes = 0;

  /** `onDamage` is told of bytes that are not what was written. */
  constructor(fd: number, root: SortedRoot, onDamage: () => void = () => undefined) {
    this.#fd = fd;
    this.#root = root;
    this.#onDamage = onDamage;
  }

  /** undefined: a file of another version or kind, or cut off. It is closed when nobody has it any more. Throws what open(2) says. */
  static open(path: string, onDamage: () => void): SortedFile | undefined {
    const fd = openSync(path, 'r');
    const root = readRoot(fd);
    if (!root) {
      closeSync(fd);
      return undefined;
    }
    const file = new SortedFile(fd, root, onDamage);
    descriptors.register(file, fd);
    return file;
  }

  /** The value is good as long as the next look-up has not begun. */
  get(key: string): Buffer | undefined {
    const found = this.first(key);
    return found?.key === key ? found.value : undefined;
  }

  /** The row with the least key that is not less. */
  first(key: string): Row | undefined {
    return this.#first(this.#root, this.#root.depth, key);
  }

  /** All rows in order; what is read is not kept. */
  *rows(): Generator<Row> {
    const buffer = { bytes: Buffer.alloc(0) };
    for (const pointer of this.#leaves(this.#root, this.#root.depth)) {
      const { keys, values } = this.#read(pointer, buffer);
      for (let row = 0; row < keys.length; row++) yield { key: keys[row] ?? '', value: values[row] ?? Buffer.alloc(0) };
    }
  }

  #first(pointer: BlockPointer, depth: number, key: string): Row | undefined {
    const block = this.#kept(pointer);
    const row = block.lowerBound(key);
    if (depth === 0) return block.rowAt(row);
    // the block that begins at or before the key, or the one after it
    const before = block.keys[row] === key ? row : Math.max(0, row - 1);
    for (const child of [before, before + 1]) {
      if (child >= block.keys.length) return undefined;
      const found = this.#first(decodePointer(block.values[child]), depth - 1, key);
      if (found) return found;
    }
    return undefined;
  }

  *#leaves(pointer: BlockPointer, depth: number): Generator<BlockPointer> {
    if (depth === 0) return yield pointer;
    for (const value of this.#read(pointer).values) yield* this.#leaves(decodePointer(value), depth - 1);
  }

  #kept(pointer: BlockPointer): Block {
    const block = this.#blocks.get(pointer.offset) ?? this.#read(pointer);
    if (this.#blocks.delete(pointer.offset)) this.#keptBytes -= block.byteLength;
    for (const [offset, oldest] of this.#blocks) {
      if (this.#keptBytes + block.byteLength <= KEPT_BYTES) break;
      this.#blocks.delete(offset);
      this.#keptBytes -= oldest.byteLength;
    }
    this.#blocks.set(pointer.offset, block);
    this.#keptBytes += block.byteLength;
    return block;
  }

  /** Into the buffer, which is made large enough. */
  #read({ offset, length, crc }: BlockPointer, into: { bytes: Buffer } = { bytes: Buffer.alloc(0) }): Block {
    if (into.bytes.length < length) into.bytes = Buffer.allocUnsafeSlow(length);
    const bytes = into.bytes.subarray(0, length);
    if (readAt(this.#fd, bytes, offset) && crc32(bytes) === crc) return new Block(bytes);
    this.#onDamage();
    throw new BuildError('E_CORRUPT_STORE', 'Cannot read the index of a layer: it is damaged', {
      hint: 'It was removed; run the command again, and the index is made anew',
    });
  }
}

/** Whether there is a file of this version, whole or not. */
export function hasBeginning(path: string): boolean {
  if (!existsSync(path)) return false;
  const fd = openSync(path, 'r');
  try {
    return isOurs(fd);
  } finally {
    closeSync(fd);
  }
}

function isOurs(fd: number): boolean {
  const bytes = Buffer.alloc(BEGINNING.length);
  return readAt(fd, bytes, 0) && bytes.equals(BEGINNING);
}

function readRoot(fd: number): SortedRoot | undefined {
  const { size } = fstatSync(fd);
  if (!isOurs(fd) || size < BEGINNING.length + TRAILER_BYTES) return undefined;
  const trailer = Buffer.alloc(TRAILER_BYTES);
  return readAt(fd, trailer, size - TRAILER_BYTES) ? decodeTrailer(trailer, size) : undefined;
}

/** Fills the buffer; false: the file ends before. */
function readAt(fd: number, bytes: Buffer, offset: number): boolean {
  for (let at = 0; at < bytes.length; ) {
    const read = readSync(fd, bytes, at, bytes.length - at, offset + at);
    if (read === 0) return false;
    at += read;
  }
  return true;
}
