import type { ByteStream } from '../../oci/index.ts';
import { damaged } from './damaged.ts';
import { TarDecoder } from './decoder.ts';
import type { TarEntry } from './entry.ts';

/** An entry and where its bytes lie, in archive order. Of entries with the same path the last one counts. */
export interface TarIndexEntry {
  readonly entry: TarEntry;
  /** Byte offset of a file's content in the uncompressed tar; absent for what has none and for sparse files. */
  readonly offset?: number;
}

/** More entries than this are refused: they are held in memory. */
const MAX_INDEX_ENTRIES = 2_000_000;

/** Reads the whole archive. Throws `E_BAD_LAYER`. */
export async function buildTarIndex(bytes: ByteStream): Promise<readonly TarIndexEntry[]> {
  const index: TarIndexEntry[] = [];
  const decoder = new TarDecoder({
    entry: (entry, offset) => {
      if (index.length >= MAX_INDEX_ENTRIES) throw damaged(`it has more than ${MAX_INDEX_ENTRIES} entries`);
      index.push(offset === undefined ? { entry } : { entry, offset });
    },
    data: () => undefined,
    hole: () => undefined,
    end: () => undefined,
  });
  for await (const chunk of bytes) decoder.push(chunk);
  decoder.finish();
  return index;
}
