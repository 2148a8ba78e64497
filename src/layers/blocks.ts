import type { ByteStream } from '../oci/index.ts';

interface Block {
  readonly block: Buffer;
  readonly isLast: boolean;
}

/** In bytes; `least` and `most` are multiples of `RECORD_BYTES`. */
export interface BlockSizes {
  readonly least: number;
  readonly most: number;
  /** A power of two: beyond `least`, one record in so many begins a new block. */
  readonly oneRecordIn: number;
}

/** What a tar is made of (pax(1), "ustar Interchange Format"): what changes in it moves the rest by so many bytes, or a multiple. */
const RECORD_BYTES = 512;
/** Of a record looked at: words at the beginning (a header's name) and around offset 150 (a header's checksum). */
const WORDS = [0, 4, 148, 152] as const;
const LOOKED_AT = 156;

/**
 * Cuts a tar into blocks for a compressor, before records that their own bytes choose: after a change in the middle of the tar the
 * borders, and so the blocks, are soon those of before. The last block is empty only if there are no bytes at all. Any chunking of
 * the same bytes gives the same blocks. A block that lies in one chunk is not copied: chunks must not change afterwards.
 */
export async function* blocksOf(bytes: ByteStream, sizes: BlockSizes): AsyncGenerator<Block, void, undefined> {
  const border = borderFinder(sizes);
  /** Of the block that is begun. */
  let parts: Buffer[] = [];
  let filled = 0;
  /** Too short to be looked at. */
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of bytes) {
    let left = joined([rest, Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)]);
    for (;;) {
      const { at, isBorder } = border(left, filled);
      parts.push(left.subarray(0, at));
      filled += at;
      left = left.subarray(at);
      if (!isBorder) break;
      yield { block: joined(parts), isLast: false };
      parts = [];
      filled = 0;
    }
    rest = left;
  }
  yield { block: joined([...parts, rest]), isLast: true };
}

/** How much of `bytes` still belongs to a block that has `filled` bytes, and whether a new one begins there. */
function borderFinder({ least, most, oneRecordIn }: BlockSizes) {
  const mask = oneRecordIn - 1;
  return (bytes: Buffer, filled: number): { readonly at: number; readonly isBorder: boolean } => {
    let at = filled < least ? least - filled : roundedUp(filled) - filled;
    for (; at < bytes.length; at += RECORD_BYTES) {
      if (filled + at >= most) return { at, isBorder: true };
      if (at + LOOKED_AT > bytes.length) return { at, isBorder: false };
      if ((mixed(bytes, at) & mask) === 0) return { at, isBorder: true };
    }
    return { at: bytes.length, isBorder: false };
  };
}

const roundedUp = (size: number): number => Math.ceil(size / RECORD_BYTES) * RECORD_BYTES;

function mixed(bytes: Buffer, at: number): number {
  let mix = 1; // records of zeros begin nothing
  for (const offset of WORDS) {
    mix = Math.imul(mix ^ bytes.readUInt32LE(at + offset), 0x9e3779b1);
    mix ^= mix >>> 15;
  }
  return mix;
}

function joined(parts: readonly Buffer[]): Buffer {
  const filled = parts.filter(({ length }) => length > 0);
  return filled.length === 1 && filled[0] ? filled[0] : Buffer.concat(filled);
}
