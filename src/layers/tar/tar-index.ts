import { BuildError } from '../../errors.ts';
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

/** More entries than this are refused: the index is held in memory. The largest layers known have 700,000. */
const MAX_INDEX_ENTRIES = 2_000_000;

/** Reads the whole archive. Throws `E_BAD_LAYER`. */
export async function buildTarIndex(bytes: ByteStream): Promise<readonly TarIndexEntry[]> {
  const indexer = new TarIndexer();
  for await (const chunk of bytes) indexer.push(chunk);
  indexer.finish();
  return indexer.entries;
}

/** The same for a tar that passes by, e.g. while it is hashed. */
export class TarIndexer {
  readonly #index: TarIndexEntry[] = [];
  readonly #decoder = new TarDecoder({
    entry: (entry, offset) => {
      if (this.#index.length >= MAX_INDEX_ENTRIES) throw damaged(`it has more than ${MAX_INDEX_ENTRIES} entries`);
      this.#index.push(offset === undefined ? { entry } : { entry, offset });
    },
    data: () => undefined,
    hole: () => undefined,
    end: () => undefined,
  });

  push(chunk: Uint8Array): void {
    this.#decoder.push(chunk);
  }

  finish(): void {
    this.#decoder.finish();
  }

  /** So far. */
  get entries(): readonly TarIndexEntry[] {
    return this.#index;
  }
}

const VERSION = { tarIndex: 1 } as const;
const LINES_AT_ONCE = 4096;

/** The index as JSON lines for a file of our own; the first line is the version. */
export function encodeTarIndex(index: readonly TarIndexEntry[]): Uint8Array {
  const parts = [Buffer.from(`${JSON.stringify(VERSION)}\n`)];
  for (let at = 0; at < index.length; at += LINES_AT_ONCE) {
    const lines = index.slice(at, at + LINES_AT_ONCE).map(encodeLine);
    parts.push(Buffer.from(lines.join('')));
  }
  return Buffer.concat(parts);
}

function encodeLine({ entry, offset }: TarIndexEntry): string {
  const { xattrs, ...rest } = entry;
  const coded = xattrs && [...xattrs].map(([name, value]) => [name, Buffer.from(value).toString('base64')]);
  return `${JSON.stringify({ ...rest, xattrs: coded, offset })}\n`;
}

/** What `encodeTarIndex` gave. Throws `E_CORRUPT_STORE` for anything else: make the index anew then. */
export function decodeTarIndex(bytes: Uint8Array): readonly TarIndexEntry[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const index: TarIndexEntry[] = [];
  try {
    let at = buffer.indexOf('\n') + 1;
    if (buffer.toString('utf8', 0, at).trimEnd() !== JSON.stringify(VERSION)) throw new TypeError('other version');
    while (at < buffer.length) {
      const end = buffer.indexOf('\n', at);
      if (end < 0) throw new TypeError('cut off');
      index.push(decodeLine(buffer.toString('utf8', at, end)));
      at = end + 1;
    }
  } catch (cause) {
    throw new BuildError('E_CORRUPT_STORE', 'Cannot read the index of a layer', { cause });
  }
  return index;
}

/** A line of our own writing, in a file that only we write. */
type Line = TarEntry & { readonly xattrs?: readonly (readonly [string, string])[]; readonly offset?: number };

function decodeLine(line: string): TarIndexEntry {
  const { xattrs, offset, ...rest } = JSON.parse(line) as Line; // written by encodeLine
  const decoded =
    xattrs && new Map(xattrs.map(([name, value]) => [name, Uint8Array.from(Buffer.from(value, 'base64'))]));
  const entry = { ...rest, ...(decoded ? { xattrs: decoded } : {}) } as TarEntry; // as above
  return { entry, ...(offset === undefined ? {} : { offset }) };
}
