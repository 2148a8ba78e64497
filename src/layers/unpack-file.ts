import { setImmediate as turn } from 'node:timers/promises';
import { bytesPassed, diffIdFrom, sha256 } from '../oci/index.ts';
import { LayerWriter } from './apply.ts';
import { decompressHere } from './compression.ts';
import type { FileFeed } from './file-feed.ts';
import { IdMap } from './id-map.ts';
import type { JobOf, JobOutput } from './jobs.ts';
import { TarDecoder } from './tar/index.ts';

/** Bytes after which other files of the thread have their turn, and messages are heard. */
const TURN_BYTES = 1024 * 1024;

/** Decompresses, hashes (unless somebody else does) and writes in one pass. For a worker thread. */
export async function unpackFile(
  { directory, owners, file, isHashedElsewhere }: JobOf<'unpack'>,
  feed: FileFeed,
): Promise<JobOutput<'unpack'>> {
  const writer = new LayerWriter(directory, IdMap.ofThisProcess(), owners);
  try {
    const decoder = new TarDecoder({
      entry: (entry) => writer.entry(entry),
      data: (bytes) => writer.data(bytes),
      hole: (size) => writer.hole(size),
      end: () => undefined,
    });
    const hash = isHashedElsewhere ? undefined : sha256();
    let tarSize = 0;
    let beforeTurn = TURN_BYTES;
    for await (const bytes of decompressHere(feed.bytes(), file.compression)) {
      hash?.update(bytes);
      tarSize += bytes.byteLength;
      decoder.push(bytes);
      bytesPassed(bytes.byteLength);
      beforeTurn -= bytes.byteLength;
      if (beforeTurn > 0) continue;
      beforeTurn = TURN_BYTES;
      await turn();
    }
    decoder.finish();
    return { ...writer.end(), tarSize, diffId: hash && diffIdFrom(hash) };
  } finally {
    writer.close();
  }
}
