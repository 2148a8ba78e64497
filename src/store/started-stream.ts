import type { ByteStream } from '../oci/index.ts';

/** A stream whose first chunks are known. */
export interface StartedStream {
  /** As many as were asked for, or fewer: then they are all. */
  readonly start: readonly Uint8Array[];
  /** Everything. To be read once. */
  readonly all: ByteStream;
}

/** Reads the first chunks of a stream. */
export async function startStream(bytes: ByteStream, chunks: number): Promise<StartedStream> {
  const iterator = bytes[Symbol.asyncIterator]();
  const start: Uint8Array[] = [];
  while (start.length < chunks) {
    const { done, value } = await iterator.next();
    if (done) break;
    start.push(value);
  }
  return { start, all: joined(start, iterator) };
}

async function* joined(start: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): ByteStream {
  yield* start;
  yield* { [Symbol.asyncIterator]: () => rest };
}
