import { BuildError } from '../../errors.ts';
import type { ByteStream } from '../../oci/index.ts';
import type { TarEntry } from './entry.ts';
import { BLOCK, FIELDS, MAX_EXTENSION_BYTES, octalMax, writeChecksum, writeOctal } from './fields.ts';
import { encodeRecord, XATTR } from './pax.ts';
import { isAscii } from './text.ts';

/** The end of an archive: two blocks of zeros. */
export const TAR_END: Uint8Array = Buffer.alloc(2 * BLOCK);

const PADDING = Buffer.alloc(BLOCK);

/** The zeros between a file's last byte and the next header. */
export const paddingAfter = (size: number): Uint8Array => PADDING.subarray(0, (BLOCK - (size % BLOCK)) % BLOCK);

/** The digits `0` to `6`. */
const TYPE_FLAGS: Readonly<Record<TarEntry['type'], number>> = {
  file: 0x30,
  hardlink: 0x31,
  symlink: 0x32,
  char: 0x33,
  block: 0x34,
  directory: 0x35,
  fifo: 0x36,
};

/** Linux ids have 32 bits. */
const MAX_ID = 0xffff_ffff;

/** What all headers have. */
const EMPTY = Buffer.alloc(BLOCK);
EMPTY.write('ustar\x0000', FIELDS.magic.at, 'latin1');
writeOctal(EMPTY, FIELDS.devMajor, 0);
writeOctal(EMPTY, FIELDS.devMinor, 0);

/** PAX records to be, by keyword. */
type Records = Map<string, string | Uint8Array>;

/**
 * The header blocks of an entry: ustar, preceded by a PAX header only where ustar cannot say it (long or non-ASCII names,
 * files from 8 GiB, ids above 2097151, times before 1970 or after 2242, extended attributes). Equal entries give equal
 * bytes; fractions of seconds are cut off, owner names are left empty. Throws `E_BAD_LAYER` for what no tar can say: a name with
 * NUL or unpaired surrogates, an attribute name with `=`, an id beyond 32 bits.
 */
export function encodeHeader(entry: TarEntry): Uint8Array {
  const records: Records = new Map();
  const block = Buffer.from(EMPTY); // from the pool: an allocation of its own costs more than all the rest
  const number = (what: NumberField, value: number, keyword: string) =>
    writeNumber(block, entry, { what, value, keyword, records });
  writePath(block, entry, records);
  writeOctal(block, FIELDS.mode, entry.mode & 0o7777);
  number('uid', entry.uid, 'uid');
  number('gid', entry.gid, 'gid');
  number('size', entry.type === 'file' ? entry.size : 0, 'size');
  number('mtime', Math.floor(entry.mtime), 'mtime');
  block[FIELDS.type.at] = TYPE_FLAGS[entry.type];
  if (entry.type === 'char' || entry.type === 'block') {
    number('devMajor', entry.devMajor, 'SCHILY.devmajor');
    number('devMinor', entry.devMinor, 'SCHILY.devminor');
  }
  if (entry.type === 'symlink' || entry.type === 'hardlink') writeLinkname(block, entry, records);
  for (const [name, value] of entry.xattrs ?? []) records.set(checkedXattr(entry, name), value);
  writeChecksum(block);
  return records.size === 0 ? block : Buffer.concat([encodePax(entry.path, records), block]);
}

type NumberField = 'uid' | 'gid' | 'size' | 'mtime' | 'devMajor' | 'devMinor';

interface NumberToWrite {
  readonly what: NumberField;
  readonly value: number;
  readonly keyword: string;
  readonly records: Records;
}

function writeNumber(block: Buffer, entry: TarEntry, { what, value, keyword, records }: NumberToWrite): void {
  const fits = value >= 0 && value <= octalMax(FIELDS[what]);
  const max = what === 'size' || what === 'mtime' ? Number.MAX_SAFE_INTEGER : MAX_ID;
  const min = what === 'mtime' ? -max : 0;
  if (!Number.isInteger(value) || value < min || value > max)
    throw unwritable(entry.path, `${what} ${value} is out of range`);
  if (!fits) records.set(keyword, String(value));
  writeOctal(block, FIELDS[what], fits ? value : 0);
}

function writePath(block: Buffer, entry: TarEntry, records: Records): void {
  const isDirectory = entry.type === 'directory';
  if (entry.path === '' && !isDirectory) throw unwritable(entry.path, 'only a directory can be the root');
  const path = entry.path === '' ? './' : isDirectory ? `${entry.path}/` : entry.path;
  checkText(entry, path);
  const { name, prefix } = FIELDS;
  if (isAscii(path)) {
    if (path.length <= name.length) return void block.write(path, name.at, 'latin1');
    const slash = path.lastIndexOf('/', Math.min(prefix.length, path.length - 2));
    if (slash > 0 && path.length - slash - 1 <= name.length) {
      block.write(path.slice(slash + 1), name.at, 'latin1');
      return void block.write(path.slice(0, slash), prefix.at, 'latin1');
    }
  }
  records.set('path', path);
  block.write(stand(path), name.at, 'latin1');
}

function writeLinkname(block: Buffer, entry: TarEntry & { readonly linkname: string }, records: Records): void {
  const { linkname } = entry;
  if (linkname === '') throw unwritable(entry.path, 'the link has no target');
  checkText(entry, linkname);
  const fits = isAscii(linkname) && linkname.length <= FIELDS.linkname.length;
  if (!fits) records.set('linkpath', linkname);
  block.write(fits ? linkname : stand(linkname), FIELDS.linkname.at, 'latin1');
}

/**
 * What stands in a name field when the real name is in the PAX header: ASCII, cut, and without a last `/`, which old
 * readers take for a directory.
 */
const stand = (name: string): string =>
  name
    .replace(/[^ -~]/g, '_')
    .slice(0, FIELDS.name.length)
    .replace(/\/$/, '_');

// Matches half a surrogate pair only: with the u flag whole pairs are one character.
const UNWRITABLE = /[\0\uD800-\uDFFF]/u;

function checkText(entry: TarEntry, text: string): void {
  if (UNWRITABLE.test(text)) throw unwritable(entry.path, 'a name has a NUL or an unpaired surrogate');
}

function checkedXattr(entry: TarEntry, name: string): string {
  checkText(entry, name);
  if (name === '' || name.includes('=')) throw unwritable(entry.path, `PAX cannot hold the attribute name "${name}"`);
  return `${XATTR}${name}`;
}

const byKeyword = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : a > b ? 1 : 0;

function encodePax(path: string, records: Records): Buffer {
  const body = Buffer.concat([...records].sort(byKeyword).map(([keyword, value]) => encodeRecord(keyword, value)));
  if (body.length > MAX_EXTENSION_BYTES) throw unwritable(path, 'its extended attributes are larger than 1 MiB');
  const block = Buffer.from(EMPTY);
  block.write(stand(`PaxHeaders/${path.slice(path.lastIndexOf('/') + 1)}`), FIELDS.name.at, 'latin1');
  writeOctal(block, FIELDS.mode, 0o644);
  for (const field of [FIELDS.uid, FIELDS.gid, FIELDS.mtime]) writeOctal(block, field, 0);
  writeOctal(block, FIELDS.size, body.length);
  block.write('x', FIELDS.type.at, 'latin1');
  writeChecksum(block);
  return Buffer.concat([block, body, paddingAfter(body.length)]);
}

const unwritable = (path: string, why: string): BuildError =>
  new BuildError('E_BAD_LAYER', `Cannot write ${JSON.stringify(path)} into a tar: ${why}`, {
    hint: 'Rename or remove the file before this step ends',
  });

/** An entry and, for a file, its bytes: exactly `entry.size` of them. */
export interface TarMember {
  readonly entry: TarEntry;
  readonly body?: ByteStream | undefined;
}

/** A whole archive. Throws `E_BAD_LAYER` where a body is longer or shorter than its entry says. */
export async function* encodeTarStream(members: AsyncIterable<TarMember> | Iterable<TarMember>): ByteStream {
  for await (const { entry, body } of members) {
    yield encodeHeader(entry);
    if (entry.type !== 'file') continue;
    let size = 0;
    for await (const chunk of body ?? []) {
      size += chunk.byteLength;
      if (size > entry.size) break;
      yield chunk;
    }
    if (size !== entry.size)
      throw unwritable(entry.path, `it has not ${entry.size} bytes as announced: it changed while it was read`);
    const padding = paddingAfter(size);
    if (padding.byteLength > 0) yield padding;
  }
  yield TAR_END;
}
