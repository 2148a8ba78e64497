import { damaged } from './damaged.ts';

/** Everything in a tar lies on blocks of this size (POSIX pax, "ustar Interchange Format"). */
export const BLOCK = 512;

/** PAX headers and GNU long names above this are refused. Go's reader has the same limit. */
export const MAX_EXTENSION_BYTES = 1024 * 1024;

/** Where a header block keeps a field. */
export interface Field {
  readonly at: number;
  readonly length: number;
}

/** The ustar header block (POSIX pax, table "ustar Header Block"). */
export const FIELDS = {
  name: { at: 0, length: 100 },
  mode: { at: 100, length: 8 },
  uid: { at: 108, length: 8 },
  gid: { at: 116, length: 8 },
  size: { at: 124, length: 12 },
  mtime: { at: 136, length: 12 },
  checksum: { at: 148, length: 8 },
  type: { at: 156, length: 1 },
  linkname: { at: 157, length: 100 },
  magic: { at: 257, length: 8 },
  devMajor: { at: 329, length: 8 },
  devMinor: { at: 337, length: 8 },
  prefix: { at: 345, length: 155 },
} as const satisfies Readonly<Record<string, Field>>;

/** By the length of a field: the largest number that it holds as octal digits and a NUL. */
const OCTAL_MAX = Array.from({ length: 13 }, (_, length) => 8 ** (length - 1) - 1);
export const octalMax = ({ length }: Field): number => OCTAL_MAX[length] ?? 0;

/** Shifts work on 31 bits: ten octal digits. */
const MAX_SHIFTED = 0x7fff_ffff;

export function writeOctal(block: Buffer, field: Field, value: number): void {
  let rest = value;
  let at = field.at + field.length - 2;
  for (; rest > MAX_SHIFTED; at--) {
    block[at] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
  for (; at >= field.at; at--) {
    block[at] = 0x30 + (rest & 7);
    rest >>= 3;
  }
}

/** The bytes of a text field: up to the first NUL, or all of it. */
export function textBytes(block: Buffer, field: Field): Buffer {
  const nul = block.indexOf(0, field.at);
  const end = field.at + field.length;
  return block.subarray(field.at, nul < 0 || nul > end ? end : nul);
}

/**
 * A number as octal digits with blanks or NULs around it, or as GNU base-256: first bit set, then a two's complement
 * big-endian number. undefined: neither, or beyond 2^53.
 */
export function readNumber(block: Buffer, { at, length }: Field): number | undefined {
  const first = block[at] ?? 0;
  if (first & 0x80) return readBase256(block.subarray(at, at + length));
  return readOctal(block, at, at + length);
}

const isBlank = (byte: number | undefined): boolean => byte === 0x20 || byte === 0;

/** Without a string in between: a header has eight of these. */
function readOctal(block: Buffer, start: number, end: number): number | undefined {
  let at = start;
  while (at < end && isBlank(block[at])) at++;
  let value = 0;
  for (; at < end && !isBlank(block[at]); at++) {
    const digit = (block[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) return undefined;
    value = value * 8 + digit;
  }
  while (at < end && isBlank(block[at])) at++;
  return at === end ? value : undefined;
}

function readBase256(bytes: Buffer): number | undefined {
  const negative = ((bytes[0] ?? 0) & 0x40) !== 0;
  let value = 0n;
  for (const [index, byte] of bytes.entries()) value = (value << 8n) | BigInt(index === 0 ? byte & 0x7f : byte);
  const signed = negative ? value - (1n << BigInt(bytes.length * 8 - 1)) : value;
  const number = Number(signed);
  return Number.isSafeInteger(number) ? number : undefined;
}

const BLANK_CHECKSUM = 8 * 0x20;

function sumOf(block: Buffer): { readonly unsigned: number; readonly signed: number } {
  const { at, length } = FIELDS.checksum;
  let unsigned = BLANK_CHECKSUM;
  let high = 0;
  for (let i = 0; i < BLOCK; i++) {
    const byte = block[i] ?? 0;
    unsigned += byte;
    high += byte >> 7;
  }
  for (let i = at; i < at + length; i++) {
    const byte = block[i] ?? 0;
    unsigned -= byte;
    high -= byte >> 7;
  }
  return { unsigned, signed: unsigned - 256 * high };
}

/** Six octal digits, NUL, blank: the last thing written into a header, whose checksum is still zeros. */
export function writeChecksum(block: Buffer): void {
  const { at, length } = FIELDS.checksum;
  const { prefix } = FIELDS;
  let sum = BLANK_CHECKSUM;
  const end = block[prefix.at] === 0 ? prefix.at : BLOCK;
  for (let i = 0; i < end; i++) sum += block[i] ?? 0;
  writeOctal(block, { at, length: length - 1 }, sum);
  block[at + length - 1] = 0x20;
}

/** Whether the block is a header: its sum is right, over unsigned bytes (POSIX) or signed ones (old implementations). */
export function hasValidChecksum(block: Buffer): boolean {
  const stored = readNumber(block, FIELDS.checksum);
  const { at, length } = FIELDS.checksum;
  let sum = BLANK_CHECKSUM;
  for (let i = 0; i < at; i++) sum += block[i] ?? 0;
  for (let i = at + length; i < BLOCK; i++) sum += block[i] ?? 0;
  return stored === sum || stored === sumOf(block).signed;
}

/** Whether a file that begins with `bytes` (512 of them are enough) is a tar that has at least one entry. */
export const isTarHeader = (bytes: Uint8Array): boolean =>
  bytes.byteLength >= BLOCK && hasValidChecksum(Buffer.from(bytes.subarray(0, BLOCK)));

/** Tells an end-of-archive block. */
export const isZero = (block: Buffer): boolean => block.equals(ZERO_BLOCK);
const ZERO_BLOCK = Buffer.alloc(BLOCK);

/** The number in `field`, at least 0 and at most `max`; `what` names it in the error. */
export function readCount(block: Buffer, field: Field, { what, max }: { what: string; max: number }): number {
  const value = readNumber(block, field);
  if (value === undefined || value < 0 || value > max) throw damaged(`its header has a bad ${what}`);
  return value;
}
