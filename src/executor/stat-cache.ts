import { crc32 } from 'node:zlib';
import { type KnownFacts, STAMP_BYTES } from './file-stat.ts';

/** What was found out about a file in one state. */
export type LearnedFacts = KnownFacts & { readonly stamp: string };

/** The JSON of none, and no other is as short. */
const NO_XATTRS = '[]';

const MAGIC = 'tsbuild-stat-cache 3\n';
/** CRC-32 of what follows it, number of records. */
const HEAD_BYTES = MAGIC.length + 8;

const SHA_BYTES = 32;
/** In a record, behind the stamp; the attributes follow the path among the texts. */
const AT = {
  sha: STAMP_BYTES,
  path: STAMP_BYTES + SHA_BYTES,
  pathBytes: STAMP_BYTES + SHA_BYTES + 4,
  xattrBytes: STAMP_BYTES + SHA_BYTES + 8,
  flags: STAMP_BYTES + SHA_BYTES + 12,
} as const;
const RECORD_BYTES = AT.flags + 4;
const HAS_SHA = 1;
const HAS_XATTRS = 2;

interface TextPlace {
  readonly path: number;
  readonly pathEnd: number;
  readonly end: number;
}

/** Where the texts of the record at `at` are. */
function textOf(records: Buffer, at: number): TextPlace {
  const path = records.readUInt32LE(at + AT.path);
  const pathEnd = path + records.readUInt32LE(at + AT.pathBytes);
  return { path, pathEnd, end: pathEnd + records.readUInt32LE(at + AT.xattrBytes) };
}

interface Bytes {
  readonly records: Buffer;
  /** In the order of the records. */
  readonly texts: Buffer;
}

/** Writes a stat cache. */
class RecordWriter {
  readonly #records: Buffer;
  #texts = Buffer.alloc(0);
  #count = 0;
  #textBytes = 0;

  constructor(most: number) {
    this.#records = Buffer.alloc(most * RECORD_BYTES);
  }

  add(path: string, { stamp, sha256, xattrs }: LearnedFacts): void {
    const at = this.#count++ * RECORD_BYTES;
    this.#records.write(stamp, at, STAMP_BYTES, 'latin1');
    if (sha256 !== undefined) this.#records.write(sha256, at + AT.sha, SHA_BYTES, 'hex');
    this.#records.writeUInt32LE(this.#textBytes, at + AT.path);
    this.#records.writeUInt32LE(this.#text(path), at + AT.pathBytes);
    this.#records.writeUInt32LE(this.#text(xattrs ?? ''), at + AT.xattrBytes);
    const flags = (sha256 === undefined ? 0 : HAS_SHA) | (xattrs === undefined ? 0 : HAS_XATTRS);
    this.#records.writeUInt32LE(flags, at + AT.flags);
  }

  /** Records of another cache that follow one another there, as their texts do. */
  copy({ records, texts }: Bytes, start: number, end: number): void {
    const at = this.#count * RECORD_BYTES;
    const first = textOf(records, start * RECORD_BYTES).path;
    const last = textOf(records, (end - 1) * RECORD_BYTES).end;
    const moved = this.#textBytes - first;
    records.copy(this.#records, at, start * RECORD_BYTES, end * RECORD_BYTES);
    this.#count += end - start;
    this.#reserve(last - first);
    this.#textBytes += texts.copy(this.#texts, this.#textBytes, first, last);
    if (moved === 0) return;
    for (let record = at; record < this.#count * RECORD_BYTES; record += RECORD_BYTES)
      this.#records.writeUInt32LE(this.#records.readUInt32LE(record + AT.path) + moved, record + AT.path);
  }

  finish(): Buffer {
    const head = Buffer.alloc(HEAD_BYTES);
    head.write(MAGIC, 'latin1');
    head.writeUInt32LE(this.#count, MAGIC.length + 4);
    const records = this.#records.subarray(0, this.#count * RECORD_BYTES);
    const whole = Buffer.concat([head, records, this.#texts.subarray(0, this.#textBytes)]);
    whole.writeUInt32LE(crc32(whole.subarray(MAGIC.length + 4)), MAGIC.length);
    return whole;
  }

  /** Returns its length in bytes. */
  #text(text: string): number {
    const bytes = Buffer.byteLength(text);
    this.#reserve(bytes);
    this.#textBytes += this.#texts.write(text, this.#textBytes);
    return bytes;
  }

  #reserve(bytes: number): void {
    const needed = this.#textBytes + bytes;
    if (needed > this.#texts.length) this.#texts = Buffer.concat([this.#texts], needed * 2);
  }
}

/**
 * A stat cache: records of one length, and behind them the texts. A tree is walked in the same order each time, so the
 * next record is mostly the one that is wanted, and none becomes an object before.
 */
export class StatCache {
  readonly #records: Buffer;
  readonly #texts: Buffer;
  readonly #count: number;
  readonly #isUsed: Uint8Array;
  /** Records of which nothing, or not all, was known in the state that was asked for. */
  readonly #mayChange = new Map<string, number>();
  #next = 0;
  #byPath: ReadonlyMap<string, number> | undefined;

  /** Damaged bytes are as good as none. */
  constructor(bytes: Buffer) {
    const isWhole =
      bytes.length >= HEAD_BYTES &&
      bytes.toString('latin1', 0, MAGIC.length) === MAGIC &&
      bytes.readUInt32LE(MAGIC.length) === crc32(bytes.subarray(MAGIC.length + 4));
    this.#count = isWhole ? bytes.readUInt32LE(MAGIC.length + 4) : 0;
    const end = HEAD_BYTES + this.#count * RECORD_BYTES;
    this.#records = bytes.subarray(HEAD_BYTES, end);
    this.#texts = bytes.subarray(end);
    this.#isUsed = new Uint8Array(this.#count);
  }

  /** What is known of the file in the state that the stamp names. */
  lookup(path: string, stamp: string): KnownFacts {
    const position = this.#positionOf(path);
    if (position === undefined) return {};
    const at = position * RECORD_BYTES;
    const facts = this.#stampAt(at) === stamp ? this.#factsAt(at) : undefined;
    if (facts?.sha256 === undefined || facts.xattrs === undefined) this.#mayChange.set(path, position);
    if (facts) this.#isUsed[position] = 1;
    return facts ?? {};
  }

  /** As if it had been asked for in the state that is known. */
  keep(path: string): void {
    const position = this.#positionOf(path);
    if (position !== undefined) this.#isUsed[position] = 1;
  }

  /** The bytes of the records that were asked for, and of others instead of them or beside them. */
  with(learned: ReadonlyMap<string, LearnedFacts>): Buffer {
    const writer = new RecordWriter(this.#count + learned.size);
    const instead = new Map<number, string>();
    for (const path of learned.keys()) {
      const position = this.#mayChange.get(path) ?? this.#find(path);
      if (position !== undefined) instead.set(position, path);
    }
    for (let position = 0; position < this.#count; position++) {
      const path = instead.get(position);
      const facts = path === undefined ? undefined : learned.get(path);
      if (path !== undefined && facts) writer.add(path, facts);
      else if (this.#isUsed[position] === 1) {
        const start = position;
        while (this.#isUsed[position + 1] === 1 && !instead.has(position + 1)) position++;
        writer.copy({ records: this.#records, texts: this.#texts }, start, position + 1);
      }
    }
    const known = new Set(instead.values());
    for (const [path, facts] of learned) if (!known.has(path)) writer.add(path, facts);
    return writer.finish();
  }

  #positionOf(path: string): number | undefined {
    const isNext = this.#next < this.#count && this.#pathAt(this.#next) === path;
    const position = isNext ? this.#next : this.#find(path);
    if (position !== undefined) this.#next = position + 1 < this.#count ? position + 1 : 0;
    return position;
  }

  #pathAt(position: number): string {
    const { path, pathEnd } = textOf(this.#records, position * RECORD_BYTES);
    return this.#texts.toString('utf8', path, pathEnd);
  }

  #stampAt(at: number): string {
    return this.#records.toString('latin1', at, at + STAMP_BYTES);
  }

  #factsAt(at: number): KnownFacts {
    const { pathEnd, end } = textOf(this.#records, at);
    const flags = this.#records.readUInt32LE(at + AT.flags);
    return {
      sha256: flags & HAS_SHA ? this.#records.toString('hex', at + AT.sha, at + AT.path) : undefined,
      xattrs: flags & HAS_XATTRS ? this.#xattrs(pathEnd, end) : undefined,
    };
  }

  #xattrs(start: number, end: number): string {
    return end - start === NO_XATTRS.length ? NO_XATTRS : this.#texts.toString('utf8', start, end);
  }

  #find(path: string): number | undefined {
    this.#byPath ??= new Map(Array.from({ length: this.#count }, (_, position) => [this.#pathAt(position), position]));
    return this.#byPath.get(path);
  }
}
