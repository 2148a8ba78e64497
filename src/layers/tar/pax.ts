import { damaged } from './damaged.ts';
import { decodeText } from './text.ts';

/** PAX keyword prefix of an extended attribute, as star, GNU tar and Go write it. The rest of the keyword is its name. */
export const XATTR = 'SCHILY.xattr.';

/** One record: `LENGTH KEYWORD=VALUE\n`; the length counts itself (POSIX pax, "pax Extended Header"). */
export function encodeRecord(keyword: string, value: string | Uint8Array): Buffer {
  const key = Buffer.from(keyword);
  const content = typeof value === 'string' ? Buffer.from(value) : value;
  const rest = key.length + content.length + 3;
  let total = rest + String(rest).length;
  total = rest + String(total).length;
  return Buffer.concat([Buffer.from(`${total} `), key, Buffer.from('='), content, Buffer.from('\n')]);
}

export type PaxRecord = readonly [keyword: string, value: Buffer];

/** The records of an extended header in their order; values are views into `bytes`. Throws `E_BAD_LAYER`. */
export function decodeRecords(bytes: Buffer): readonly PaxRecord[] {
  const records: PaxRecord[] = [];
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 ? '' : bytes.toString('latin1', at, Math.min(space, at + 12));
    const end = at + Number(digits);
    if (!/^[1-9][0-9]*$/.test(digits) || end > bytes.length || end <= space) {
      throw damaged('a PAX record has a bad length');
    }
    const equals = bytes.indexOf(0x3d, space);
    if (bytes[end - 1] !== 0x0a || equals <= space + 1 || equals >= end) throw damaged('a PAX record is malformed');
    const keyword = decodeText(bytes.subarray(space + 1, equals), 'the PAX keyword');
    records.push([keyword, bytes.subarray(equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

const MTIME = /^-?[0-9]+(?:\.[0-9]*)?$/;

/** Seconds, possibly with a fraction; undefined: not a time. */
export function readTime(value: Buffer): number | undefined {
  const text = value.toString('latin1');
  const time = Number(text);
  return MTIME.test(text) && Math.abs(time) <= Number.MAX_SAFE_INTEGER ? time : undefined;
}

/** A decimal number of at most `max`; undefined: not one. */
export function readDecimal(value: Buffer, max = Number.MAX_SAFE_INTEGER): number | undefined {
  const text = value.toString('latin1');
  return /^[0-9]{1,16}$/.test(text) && Number(text) <= max ? Number(text) : undefined;
}
