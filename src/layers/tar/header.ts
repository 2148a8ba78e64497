import { BuildError } from '../../errors.ts';
import { damaged } from './damaged.ts';
import type { TarEntry } from './entry.ts';
import { FIELDS, readCount, readNumber, textBytes } from './fields.ts';
import { type PaxRecord, readDecimal, readTime, XATTR } from './pax.ts';
import { cleanPath, decodeText } from './text.ts';

/** What stands before a header and changes it. */
export interface Overrides {
  /** PAX `g` records in force and the `x` records of this entry, in order: later ones win. */
  readonly records: readonly PaxRecord[];
  /** GNU `L` and `K`: beat PAX, as in Go's reader. */
  readonly longName?: Buffer | undefined;
  readonly longLink?: Buffer | undefined;
  /** GNU.sparse.name: beats all. */
  readonly sparseName?: Buffer | undefined;
  readonly realSize?: number | undefined;
}

/** One string for each byte: a header is asked several times. */
const LATIN1 = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));

export const typeOf = (block: Buffer): string => LATIN1[block[FIELDS.type.at] ?? 0] ?? '';

/** Linux ids have 32 bits; more would be cut by the system call. */
const MAX_ID = 0xffff_ffff;
const MAX_SIZE = Number.MAX_SAFE_INTEGER;
const MODE = { what: 'mode', max: 0o7777_7777 };
const UID = { what: 'uid', max: MAX_ID };
const GID = { what: 'gid', max: MAX_ID };
const SIZE = { what: 'size', max: MAX_SIZE };

/** Bytes that lie in the archive after this header. Links, devices and directories have none, whatever they claim. */
export function storedSize(block: Buffer, records: readonly PaxRecord[]): number {
  return paxNumber(records, 'size', MAX_SIZE) ?? readCount(block, FIELDS.size, SIZE);
}

function last(records: readonly PaxRecord[], keyword: string): Buffer | undefined {
  for (let i = records.length - 1; i >= 0; i--) if (records[i]?.[0] === keyword) return nonEmpty(records[i]?.[1]);
  return undefined;
}

/** An empty value takes a record back (POSIX pax, "pax Extended Header"). */
const nonEmpty = (value: Buffer | undefined): Buffer | undefined => (value?.length ? value : undefined);

function paxNumber(records: readonly PaxRecord[], keyword: string, max: number): number | undefined {
  const value = last(records, keyword);
  if (value === undefined) return undefined;
  const number = readDecimal(value, max);
  if (number === undefined) throw damaged(`the PAX record "${keyword}" is no number in range`);
  return number;
}

/**
 * The entry that a header and what stands before it describe. A file's `size` is what is stored, or the real size where
 * it is sparse. Throws `E_BAD_LAYER`.
 */
export function readEntry(block: Buffer, overrides: Overrides): TarEntry {
  const rawPath = decodeText(pathBytes(block, overrides), 'the name');
  const path = cleanPath(rawPath);
  try {
    // Type NUL with a last slash: a directory before POSIX.
    const flag = typeOf(block) === '\0' && rawPath.endsWith('/') ? '5' : typeOf(block);
    const entry = typed(path, flag, { block, overrides });
    const xattrs = readXattrs(overrides.records);
    return xattrs === undefined ? entry : { ...entry, xattrs };
  } catch (cause) {
    if (!(cause instanceof BuildError)) throw cause;
    throw new BuildError(cause.code, `${cause.message} (entry ${JSON.stringify(path)})`, { hint: cause.hint, cause });
  }
}

interface Source {
  readonly block: Buffer;
  readonly overrides: Overrides;
}

/** Objects are written out, here and below: copying members costs more than all the rest of an entry. */
function typed(path: string, flag: string, { block, overrides }: Source): TarEntry {
  const { records } = overrides;
  const mode = readMode(block);
  const uid = paxNumber(records, 'uid', MAX_ID) ?? readCount(block, FIELDS.uid, UID);
  const gid = paxNumber(records, 'gid', MAX_ID) ?? readCount(block, FIELDS.gid, GID);
  const mtime = readMtime(block, records);
  switch (flag) {
    case '0':
    case '\0':
    case '7': // contiguous: no system has it any more
    case 'S':
      return { path, mode, uid, gid, mtime, type: 'file', size: overrides.realSize ?? storedSize(block, records) };
    case '1':
      return { path, mode, uid, gid, mtime, type: 'hardlink', linkname: cleanPath(readLink(block, overrides)) };
    case '2':
      return { path, mode, uid, gid, mtime, type: 'symlink', linkname: readLink(block, overrides) };
    case '3':
    case '4': {
      const device = readDevice(block, records);
      return { path, mode, uid, gid, mtime, type: flag === '3' ? 'char' : 'block', ...device };
    }
    case '5':
      return { path, mode, uid, gid, mtime, type: 'directory' };
    case '6':
      return { path, mode, uid, gid, mtime, type: 'fifo' };
    default:
      throw damaged(`entries of type ${JSON.stringify(flag)} are not supported`);
  }
}

function pathBytes(block: Buffer, { records, longName, sparseName }: Overrides): Buffer {
  const override = nonEmpty(sparseName) ?? longName ?? last(records, 'path');
  if (override !== undefined) return override;
  const name = textBytes(block, FIELDS.name);
  const prefix = hasPrefix(block) ? textBytes(block, FIELDS.prefix) : undefined;
  return prefix === undefined || prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]);
}

const GNU_TIMES = [
  { at: 345, length: 12 },
  { at: 357, length: 12 },
] as const;

/**
 * POSIX ustar has a prefix there, GNU (magic `ustar  `) has times, v7 nothing. Go before 1.8, and so Docker until 2017,
 * wrote GNU magic with a prefix: then what is there is no number.
 */
function hasPrefix(block: Buffer): boolean {
  const { at } = FIELDS.magic;
  for (let i = 0; i < USTAR.length; i++) if (block[at + i] !== USTAR[i]) return false;
  if (block[at + USTAR.length] === 0) return true;
  const isGnu = block[at + 5] === BLANK && block[at + 6] === BLANK && block[at + 7] === 0;
  return isGnu && GNU_TIMES.some((field) => readNumber(block, field) === undefined);
}

const USTAR = Buffer.from('ustar');
const BLANK = 0x20;

function readLink(block: Buffer, { records, longLink }: Overrides): string {
  const bytes = longLink ?? last(records, 'linkpath') ?? textBytes(block, FIELDS.linkname);
  if (bytes.length === 0) throw damaged('a link has no target');
  return decodeText(bytes, 'the link target');
}

/** Old writers put the file type above the permission bits. */
const readMode = (block: Buffer): number => readCount(block, FIELDS.mode, MODE) & 0o7777;

function readMtime(block: Buffer, records: readonly PaxRecord[]): number {
  const record = last(records, 'mtime');
  const mtime = record === undefined ? readNumber(block, FIELDS.mtime) : readTime(record);
  if (mtime === undefined) throw damaged('its time of modification is no number in range');
  return mtime;
}

function readDevice(block: Buffer, records: readonly PaxRecord[]) {
  const number = (keyword: string, what: 'devMajor' | 'devMinor') =>
    paxNumber(records, keyword, MAX_ID) ?? readCount(block, FIELDS[what], { what: 'device number', max: MAX_ID });
  return { devMajor: number('SCHILY.devmajor', 'devMajor'), devMinor: number('SCHILY.devminor', 'devMinor') };
}

/** Unlike other records an attribute may be empty. Names are taken as they are, as Go and containerd do. */
function readXattrs(records: readonly PaxRecord[]): ReadonlyMap<string, Uint8Array> | undefined {
  if (records.length === 0) return undefined;
  const xattrs = new Map<string, Uint8Array>();
  for (const [keyword, value] of records) {
    if (!keyword.startsWith(XATTR)) continue;
    const name = keyword.slice(XATTR.length);
    if (name === '' || name.includes('\0')) throw damaged('an extended attribute has no name');
    xattrs.set(name, Uint8Array.from(value));
  }
  return xattrs.size === 0 ? undefined : xattrs;
}
