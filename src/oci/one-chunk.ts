import type { ByteStream } from './ports.ts';

/** A stream of bytes that are in memory already. */
export async function* oneChunk(bytes: Uint8Array): ByteStream {
  yield bytes;
}
