import type { ByteStream } from '../oci/index.ts';

const PIECE_BYTES = 128 * 1024;

/** The same bytes (`size` of them) in larger pieces, buffers of their own: of the 64 KiB or less that a socket gives each would be a write of its own. */
export async function* gathered(bytes: ByteStream, size: number): ByteStream {
  const most = Math.min(size, PIECE_BYTES);
  let piece: Buffer | undefined;
  let filled = 0;
  for await (const chunk of bytes) {
    if (filled + chunk.byteLength > most) {
      if (piece && filled > 0) yield piece.subarray(0, filled);
      piece = undefined;
      filled = 0;
    }
    if (chunk.byteLength > most) {
      yield chunk;
      continue;
    }
    piece ??= Buffer.allocUnsafeSlow(most);
    piece.set(chunk, filled);
    filled += chunk.byteLength;
  }
  if (piece && filled > 0) yield piece.subarray(0, filled);
}
