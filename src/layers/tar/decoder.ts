import { BlockFeeder, type BlockParser, type Request } from './blocks.ts';
import { damaged } from './damaged.ts';
import type { TarEntry } from './entry.ts';
import { BLOCK, FIELDS, hasValidChecksum, isZero, MAX_EXTENSION_BYTES } from './fields.ts';
import { type Overrides, readEntry, storedSize, typeOf } from './header.ts';
import { decodeRecords, type PaxRecord } from './pax.ts';
import * as sparse from './sparse.ts';

export interface TarHandler {
  /**
   * `dataOffset`: where a file's bytes begin in the (uncompressed) archive; undefined for what has none and for sparse
   * files, whose bytes are not in one piece.
   */
  entry(entry: TarEntry, dataOffset: number | undefined): void;
  /** A file's bytes, `entry.size` in all. A view into what was pushed (or of zeros): copy it to keep it, never write into it. */
  data(chunk: Uint8Array): void;
  /** A hole of so many bytes in a sparse file. Where this is absent, `data` gets zeros. */
  hole?(size: number): void;
  /** The archive is whole. */
  end(): void;
}

/** What was read and waits for the header that it belongs to. */
interface Pending {
  local: readonly PaxRecord[];
  longName: Buffer | undefined;
  longLink: Buffer | undefined;
}

interface File {
  readonly entry: TarEntry;
  readonly stored: number;
  readonly map: sparse.SparseMap | undefined;
}

/**
 * Reads a tar as it is pushed: v7, ustar, PAX, GNU (long names, base-256 numbers), sparse files of every GNU version.
 * The archive ends at two zero blocks or at the end of the stream; what follows the zero blocks is not read, as in GNU
 * tar and in Go, so that every reader of a layer sees the same files. Anything damaged, cut off or ambiguous throws
 * `E_BAD_LAYER`; errors of the handler pass through. Paths are clean and relative (see `cleanPath`), may begin with `..`.
 */
export class TarDecoder {
  readonly #handler: TarHandler;
  readonly #feeder: BlockFeeder;
  readonly #header: Request = {
    kind: 'read',
    size: BLOCK,
    mayEnd: true,
    takeSimple: (block) => this.#takeSimple(block),
  };
  /** PAX `g` records in force. */
  #globals: readonly PaxRecord[] = [];

  constructor(handler: TarHandler) {
    this.#handler = handler;
    this.#feeder = new BlockFeeder(this.#archive(), (chunk) => handler.data(chunk));
  }

  push(chunk: Uint8Array): void {
    this.#feeder.push(chunk);
  }

  /** Says that there are no more bytes. */
  finish(): void {
    this.#feeder.finish();
    this.#handler.end();
  }

  /** The header of a member that nothing else says anything about. What is odd about it is found out where all are read. */
  #takeSimple(block: Buffer): number | undefined {
    if (this.#globals.length > 0 || !isSimpleType(block) || !hasValidChecksum(block)) return undefined;
    const entry = readEntry(block, NO_OVERRIDES);
    const isFile = entry.type === 'file';
    this.#handler.entry(entry, isFile ? this.#feeder.offset : undefined);
    return isFile ? entry.size : 0;
  }

  *#archive(): BlockParser {
    for (;;) {
      const block = yield* this.#firstHeader();
      if (block === undefined) return;
      yield* this.#member(block);
    }
  }

  /** undefined: the end of the archive. */
  *#firstHeader(): Generator<Request, Buffer | undefined, Buffer> {
    const block = yield this.#header;
    if (!isZero(block)) return block;
    const second = yield { kind: 'read', size: BLOCK, mayEnd: true };
    if (!isZero(second)) throw damaged(`it goes on at byte ${this.#feeder.offset - BLOCK} after a block of zeros`);
    return undefined;
  }

  *#member(first: Buffer): BlockParser {
    const pending: Pending = { local: [], longName: undefined, longLink: undefined };
    let block = first;
    for (;;) {
      if (!hasValidChecksum(block)) throw damaged(`no header at byte ${this.#feeder.offset - BLOCK}: wrong checksum`);
      const flag = typeOf(block);
      if (!'xXgLK'.includes(flag)) break;
      const extension = yield* this.#extension(block);
      this.#addExtension(flag, extension, pending);
      // A header that only changes what follows is complete without anything that follows.
      const isComplete = flag === 'g' && pending.local.length === 0 && !pending.longName && !pending.longLink;
      if (isComplete) return;
      block = yield { kind: 'read', size: BLOCK };
    }
    const file = yield* this.#describe(block, pending);
    yield* this.#contents(file);
  }

  /** The body of an extension header. */
  *#extension(block: Buffer): Generator<Request, Buffer, Buffer> {
    const size = storedSize(block, []);
    if (size > MAX_EXTENSION_BYTES)
      throw damaged(`an extended header of ${size} bytes is larger than ${MAX_EXTENSION_BYTES}`);
    const body = size === 0 ? Buffer.alloc(0) : Buffer.from(yield { kind: 'read', size });
    yield* padding(size);
    return body;
  }

  #addExtension(flag: string, body: Buffer, pending: Pending): void {
    if (flag === 'L') pending.longName = upToNul(body);
    else if (flag === 'K') pending.longLink = upToNul(body);
    else if (flag === 'g') this.#globals = mergeGlobals(this.#globals, decodeRecords(body));
    else pending.local = decodeRecords(body);
  }

  *#describe(block: Buffer, pending: Pending): Generator<Request, File, Buffer> {
    const records = this.#globals.length === 0 ? pending.local : [...this.#globals, ...pending.local];
    const keywords = sparse.readSparseKeywords(pending.local);
    const isSparse = typeOf(block) === 'S' || keywords !== undefined;
    // Reading on may overwrite the block.
    const header = isSparse ? Buffer.from(block) : block;
    let stored = isSparse || holdsBytes(block) ? storedSize(header, records) : 0;
    let map: sparse.SparseMap | undefined;
    if (keywords?.version === '1.0') {
      const { segments, size } = yield* readBodyMap(stored);
      map = { realSize: keywords.realSize, segments };
      stored -= size;
    } else if (keywords) map = keywords;
    else if (isSparse) map = yield* readOldMap(header);
    if (map) sparse.checkSparseMap(map, stored);
    const overrides = { ...pending, records, sparseName: keywords?.name, realSize: map?.realSize };
    const entry = readEntry(header, overrides);
    if (isSparse && entry.type !== 'file') throw damaged(`${JSON.stringify(entry.path)} is sparse but no file`);
    return { entry, stored: entry.type === 'file' ? stored : 0, map };
  }

  *#contents({ entry, stored, map }: File): BlockParser {
    this.#handler.entry(entry, entry.type === 'file' && !map ? this.#feeder.offset : undefined);
    if (!map) {
      if (stored > 0) yield { kind: 'body', size: stored };
      return yield* padding(stored);
    }
    let at = 0;
    for (const { offset, length } of map.segments) {
      this.#hole(offset - at);
      if (length > 0) yield { kind: 'body', size: length };
      at = offset + length;
    }
    this.#hole(map.realSize - at);
    yield* padding(stored);
  }

  #hole(size: number): void {
    if (size === 0) return;
    if (this.#handler.hole) this.#handler.hole(size);
    else for (const zeros of zerosOf(size)) this.#handler.data(zeros);
  }
}

const NO_OVERRIDES: Overrides = { records: [] };

/** Files, links, directories: '0', NUL, '1', '2', '5'. A block of zeros has the wrong checksum. */
function isSimpleType(block: Buffer): boolean {
  const type = block[FIELDS.type.at];
  return type === 0x30 || type === 0 || type === 0x31 || type === 0x32 || type === 0x35;
}

const ZEROS = Buffer.alloc(256 * 1024);

/** `size` zeros in pieces. */
export function* zerosOf(size: number): Generator<Uint8Array> {
  for (let left = size; left > 0; left -= ZEROS.length) yield left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS;
}

/** Links, devices, directories and fifos have no bytes in the archive, whatever size they claim (as in Go's reader). */
const holdsBytes = (block: Buffer): boolean => !'123456'.includes(typeOf(block));

function* padding(size: number): BlockParser {
  const rest = (BLOCK - (size % BLOCK)) % BLOCK;
  if (rest > 0) yield { kind: 'skip', size: rest };
}

function upToNul(body: Buffer): Buffer {
  const nul = body.indexOf(0);
  return nul < 0 ? body : body.subarray(0, nul);
}

/** Later ones replace earlier ones of the same keyword; the total stays limited. */
function mergeGlobals(old: readonly PaxRecord[], added: readonly PaxRecord[]): readonly PaxRecord[] {
  const merged = [...new Map([...old, ...added])];
  const bytes = merged.reduce((sum, [keyword, value]) => sum + keyword.length + value.length, 0);
  if (bytes > MAX_EXTENSION_BYTES) throw damaged('its global PAX headers are too large');
  return merged;
}

function* readOldMap(header: Buffer): Generator<Request, sparse.SparseMap, Buffer> {
  const { map, isExtended } = sparse.readOldSparse(header);
  const segments = [...map.segments];
  let more = isExtended;
  for (let bytes = 0; more; bytes += BLOCK) {
    if (bytes > sparse.MAX_SPARSE_MAP_BYTES) throw damaged('its map of a sparse file is too large');
    const extension = sparse.readOldExtension(yield { kind: 'read', size: BLOCK });
    segments.push(...extension.segments);
    more = extension.isExtended;
  }
  return { realSize: map.realSize, segments };
}

function* readBodyMap(
  stored: number,
): Generator<Request, { readonly segments: readonly sparse.SparseSegment[]; readonly size: number }, Buffer> {
  const reader = new sparse.BodyMapReader();
  for (let size = BLOCK; size <= Math.min(stored, sparse.MAX_SPARSE_MAP_BYTES); size += BLOCK) {
    const segments = reader.add(yield { kind: 'read', size: BLOCK });
    if (segments) return { segments, size };
  }
  throw damaged('its map of a sparse file is too large or cut off');
}
