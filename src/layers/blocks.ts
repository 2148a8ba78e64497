import type { ByteStream } from '../oci/index.ts';

interface Block {
  readonly block: Buffer;
  readonly isLast: boolean;
  /** Gives its memory to a later block: fresh memory costs more than all that is done to the bytes but compressing them. */
  free(): void;
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
 * the same bytes gives the same blocks.
 */
export async function* blocksOf(bytes: ByteStream, sizes: BlockSizes): AsyncGenerator<Block, void, undefined> {
  const borderIn = borderFinder(sizes);
  const unused: Buffer[] = [];
  const memory = (): Buffer => unused.pop() ?? Buffer.allocUnsafeSlow(sizes.most);
  let block = memory();
  let filled = 0;
  const whole = (isLast: boolean): Block => {
    const all = block;
    return { block: all.subarray(0, filled), isLast, free: () => void unused.push(all) };
  };
  /** Too short to be looked at. */
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of bytes) {
    let left = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (rest.length > 0) left = Buffer.concat([rest, left]);
    for (;;) {
      const { at, isBorder } = borderIn(left, filled);
      filled += left.copy(block, filled, 0, at);
      left = left.subarray(at);
      if (!isBorder) break;
      yield whole(false);
      block = memory();
      filled = 0;
    }
    rest = Buffer.from(left);
  }
  filled += rest.copy(block, filled);
  yield whole(true);
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
