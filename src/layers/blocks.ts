import type { ByteStream } from '../oci/index.ts';

interface Block {
  readonly block: Buffer;
  readonly isLast: boolean;
}

/**
 * Cut into whole blocks of `size` bytes, for a compressor; the last one is shorter, empty only if there are no bytes at all. A
 * block that lies in one chunk is not copied: chunks must not change afterwards.
 */
export async function* blocksOf(bytes: ByteStream, size: number): AsyncGenerator<Block, void, undefined> {
  /** Whole; it may be the last. */
  let whole: Buffer | undefined;
  let begun = Buffer.alloc(0);
  let filled = 0;
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.byteLength; ) {
      if (whole) yield { block: whole, isLast: false };
      whole = undefined;
      const isWhole = filled === 0 && chunk.byteLength - at >= size;
      if (!isWhole && filled === 0) begun = Buffer.allocUnsafeSlow(size);
      const part = chunk.subarray(at, at + size - filled);
      at += part.byteLength;
      if (isWhole) whole = Buffer.from(part.buffer, part.byteOffset, size);
      else {
        begun.set(part, filled);
        filled += part.byteLength;
        if (filled < size) continue;
        whole = begun;
        filled = 0;
      }
    }
  }
  if (whole) yield { block: whole, isLast: true };
  else yield { block: begun.subarray(0, filled), isLast: true };
}
