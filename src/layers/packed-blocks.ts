import type { Hash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type ContentStore, type Digest, hexOf } from '../oci/index.ts';
import { newOwnedName } from './owner.ts';

/** SHA-256 of what decides about the compressed bytes; SHA-256 of the blob; offset and size in it; CRC-32 of the compressed bytes. */
const ROW = { key: 0, blob: 32, offset: 64, size: 72, crc: 76, end: 80 } as const;
/** Of blocks of about 1 MiB; the table takes 320 KiB. */
const MAX_ROWS = 4096;
/** Compressors get blocks of 8 MiB at most; what claims more is damage. */
const MAX_PACKED = 16 * 1024 * 1024;

interface Place {
  readonly blob: Digest;
  readonly offset: number;
  readonly size: number;
  readonly crc: number;
}

/**
 * Where in this store's blobs the compressed forms of blocks are: a layer that changed in a few places is compressed in those
 * places only. A cache in one file, the latest first; a lost or damaged one is made again, and of two that write it one wins.
 */
export class PackedBlocks {
  readonly #path: string;
  readonly #active: string;
  readonly #store: Pick<ContentStore, 'fileOf'>;
  #places: Map<string, Place> | undefined;

  constructor(stateDirectory: string, store: Pick<ContentStore, 'fileOf'>) {
    this.#path = join(stateDirectory, 'packed-blocks', 'table');
    this.#active = join(stateDirectory, 'active');
    this.#store = store;
  }

  /** For one blob. */
  begin(): BlobPacking {
    return new BlobPacking({
      find: (key) => this.#known().get(key),
      open: async (blob) => {
        const path = await this.#store.fileOf?.(blob);
        return path === undefined ? undefined : open(path, 'r').catch(() => undefined);
      },
      keep: (added) => this.#keep(added),
    });
  }

  #known(): Map<string, Place> {
    this.#places ??= this.#read();
    return this.#places;
  }

  #read(): Map<string, Place> {
    const places = new Map<string, Place>();
    for (const row of rowsIn(this.#path)) {
      const blob = `sha256:${row.toString('hex', ROW.blob, ROW.offset)}` as Digest;
      const offset = Number(row.readBigUInt64LE(ROW.offset));
      const place = { blob, offset, size: row.readUInt32LE(ROW.size), crc: row.readUInt32LE(ROW.crc) };
      places.set(row.toString('latin1', ROW.key, ROW.blob), place);
    }
    return places;
  }

  #keep(added: ReadonlyMap<string, Place>): void {
    if (added.size === 0) return;
    const all = [...added, ...[...this.#read()].filter(([key]) => !added.has(key))].slice(0, MAX_ROWS);
    this.#places = new Map(all);
    const temporary = join(this.#active, newOwnedName());
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    mkdirSync(this.#active, { recursive: true, mode: 0o700 });
    try {
      writeFileSync(temporary, Buffer.concat(all.map(([key, place]) => rowOf(key, place))), {
        mode: 0o600,
        flag: 'wx',
      });
      renameSync(temporary, this.#path);
    } catch {
      rmSync(temporary, { force: true }); // a full disk: the next blob is compressed as a whole
    }
  }
}

interface Access {
  find(key: string): Place | undefined;
  open(blob: Digest): Promise<FileHandle | undefined>;
  keep(added: ReadonlyMap<string, Place>): void;
}

/** A blob that is being compressed. */
export class BlobPacking implements AsyncDisposable {
  readonly #access: Access;
  readonly #opened = new Map<Digest, Promise<FileHandle | undefined>>();
  readonly #made: { readonly key: string; readonly offset: number; readonly size: number; readonly crc: number }[] = [];
  #offset = 0;

  constructor(access: Access) {
    this.#access = access;
  }

  /** The compressed form of a block, unless it is unknown, gone or damaged. `key`: over all that decides about it. */
  async find(key: string): Promise<Buffer | undefined> {
    const place = this.#access.find(key);
    if (!place || place.size > MAX_PACKED) return undefined;
    const opening = this.#opened.get(place.blob) ?? this.#access.open(place.blob);
    this.#opened.set(place.blob, opening);
    const file = await opening;
    if (!file) return undefined;
    const packed = Buffer.allocUnsafeSlow(place.size);
    const read = await file.read(packed, 0, place.size, place.offset).catch(() => undefined);
    return read?.bytesRead === place.size && crc32(packed) === place.crc ? packed : undefined;
  }

  /** To be told of all that the blob is made of, in order; what has a key can be found later. */
  passed(packed: Uint8Array, key?: string): void {
    const size = packed.byteLength;
    if (key !== undefined) this.#made.push({ key, offset: this.#offset, size, crc: crc32(packed) });
    this.#offset += size;
  }

  /** The blob is in the store. */
  keep(blob: Digest): void {
    this.#access.keep(new Map(this.#made.map(({ key, ...place }) => [key, { ...place, blob }])));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opening of this.#opened.values()) await (await opening)?.close();
  }
}

/** Ends `hash`. */
export const keyFrom = (hash: Hash): string => hash.digest().toString('latin1');

function* rowsIn(path: string): Generator<Buffer> {
  let table: Buffer;
  try {
    table = readFileSync(path);
  } catch {
    return;
  }
  for (let at = 0; at + ROW.end <= table.length; at += ROW.end) yield table.subarray(at, at + ROW.end);
}

function rowOf(key: string, { blob, offset, size, crc }: Place): Buffer {
  const row = Buffer.alloc(ROW.end);
  row.write(key, ROW.key, 'latin1');
  row.write(hexOf(blob), ROW.blob, 'hex');
  row.writeBigUInt64LE(BigInt(offset), ROW.offset);
  row.writeUInt32LE(size, ROW.size);
  row.writeUInt32LE(crc, ROW.crc);
  return row;
}
