import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { DiffId, Digest } from '../oci/index.ts';
import type { Owner } from './users.ts';
import { writeWhole } from './whole-file.ts';

/** Another number where the same files give another tar, or the file is written in another way. */
const MAGIC = 'tsbuild-tar 1';

/** The tar that a COPY of one directory made of its files. */
export interface TarRecord {
  readonly diffId: DiffId;
  /** All that decided about it beside the files. */
  readonly basis: Digest;
  /** --chown */
  readonly owner: Owner | null;
  /** Relative to the source root; its time, in seconds, is that of new directories. */
  readonly source: { readonly directory: string; readonly mtime: number };
  /** Of its contents in the image; absolute. */
  readonly destination: string;
  readonly size: number;
  /** What the files were, as in `Looks`. */
  readonly paths: readonly string[];
  readonly stamps: Buffer;
  /** Files of one name and directories (these end with `/`), relative to the source. */
  readonly names: readonly string[];
  /** For each name where it begins, and where the next member begins. */
  readonly places: Float64Array;
  /** CRC-32 of each `CHUNK_BYTES`. */
  readonly crcs: Uint32Array;
}

/** More than two lines have: two names of 4 KiB at most (PATH_MAX), in JSON. */
const HEAD_BYTES = 64 * 1024;

/** In the head: bytes of what follows it. */
const PARTS = ['places', 'crcs', 'stamps', 'paths', 'names'] as const;
type PartSizes = Readonly<Record<(typeof PARTS)[number], number>>;
type Head = Omit<TarRecord, (typeof PARTS)[number]> & { readonly sizes: PartSizes };

/** Best effort: without it the next COPY goes through all of its files. */
export function saveTarRecord(file: string, { places, crcs, stamps, paths, names, ...facts }: TarRecord): void {
  const parts = {
    places: bytesOf(places),
    crcs: bytesOf(crcs),
    stamps,
    paths: Buffer.from(paths.join('\0')),
    names: Buffer.from(names.join('\0')),
  };
  const sizes = Object.fromEntries(PARTS.map((part) => [part, parts[part].byteLength])) as PartSizes; // of all parts
  const head: Head = { ...facts, sizes };
  const body = Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), ...PARTS.map((part) => parts[part])]);
  writeWhole(file, Buffer.concat([Buffer.from(`${MAGIC} ${crc32(body)}\n`), body]));
}

/** undefined: there is none of this basis, or it is damaged. */
export function loadTarRecord(file: string, basis: Digest): TarRecord | undefined {
  const [first, body] = lineAt(bytesIn(file));
  if (first !== `${MAGIC} ${crc32(body)}`) return undefined;
  const [headText, rest] = lineAt(body);
  const { sizes, ...facts }: Head = JSON.parse(headText); // what was written: the checksum says so
  if (facts.basis !== basis) return undefined;
  let end = 0;
  const part = (name: (typeof PARTS)[number]): Buffer => {
    end += sizes[name];
    return rest.subarray(end - sizes[name], end);
  };
  const places = new Float64Array(Uint8Array.from(part('places')).buffer);
  const crcs = new Uint32Array(Uint8Array.from(part('crcs')).buffer);
  const stamps = part('stamps');
  const paths = part('paths').toString().split('\0');
  return { ...facts, places, crcs, stamps, paths, names: part('names').toString().split('\0') };
}

/** The layer that a record of this basis speaks of, without reading all of it. */
export function recordedLayer(file: string, basis: Digest): DiffId | undefined {
  const [magic, rest] = lineAt(bytesIn(file, HEAD_BYTES));
  const [text, after] = lineAt(rest);
  if (!magic.startsWith(`${MAGIC} `) || after.length === 0) return undefined;
  try {
    const head: Head = JSON.parse(text);
    return head.basis === basis ? head.diffId : undefined;
  } catch {
    return undefined; // damaged
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float64Array | Uint32Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

function lineAt(bytes: Buffer): readonly [line: string, rest: Buffer] {
  const end = Math.max(0, bytes.indexOf('\n'));
  return [bytes.toString('utf8', 0, end), bytes.subarray(end + 1)];
}

/** `most`: all of it by default. */
function bytesIn(file: string, most?: number): Buffer {
  try {
    if (most === undefined) return readFileSync(file);
    const fd = openSync(file, 'r');
    const bytes = Buffer.alloc(most);
    try {
      return bytes.subarray(0, readSync(fd, bytes, 0, most, 0));
    } finally {
      closeSync(fd);
    }
  } catch {
    return Buffer.alloc(0); // absent
  }
}
