import { readFileSync } from 'node:fs';
import { type Digest, digestOf, hexOf, parseDigest } from '../oci/index.ts';
import { STAMP_BYTES, STAMP_WORDS } from './file-stat.ts';
import type { Looks } from './read-log.ts';

/** Another number where what a selection's digest covers changes. */
const MAGIC = 'tsbuild-selection 1\n';
const SHA_BYTES = 32;
/** sha256 of what follows it (zlib, which has CRC-32, takes 4 ms to load), number of paths, what was selected, its digest. */
const AT = {
  check: MAGIC.length,
  count: MAGIC.length + SHA_BYTES,
  identity: MAGIC.length + SHA_BYTES + 4,
  digest: MAGIC.length + 2 * SHA_BYTES + 4,
} as const;
const HEAD_BYTES = AT.digest + SHA_BYTES;

/** The digest of what a COPY selected, with the stamps of all that it depends on. */
export interface SelectionRecord {
  readonly digest: Digest;
  /** Relative to the root, parents before children. */
  readonly paths: readonly string[];
  /** `STAMP_WORDS` for each path. */
  readonly stamps: Uint32Array;
}

interface Selected {
  /** Says what was selected, and from where. */
  readonly identity: Digest;
  readonly digest: Digest;
  readonly looks: Looks;
}

export function encodeSelection({ identity, digest, looks }: Selected): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.write(MAGIC, 'latin1');
  head.writeUInt32LE(looks.paths.length, AT.count);
  head.write(hexOf(identity), AT.identity, 'hex');
  head.write(hexOf(digest), AT.digest, 'hex');
  const bytes = Buffer.concat([
    head,
    Buffer.from(looks.stamps.join(''), 'latin1'),
    Buffer.from(looks.paths.join('\0')),
  ]);
  bytes.write(hexOf(digestOf(bytes.subarray(AT.count))), AT.check, 'hex');
  return bytes;
}

/** undefined: there is none of this selection, or it is damaged. */
export function readSelection(file: string, identity: Digest): SelectionRecord | undefined {
  try {
    return decodeSelection(readFileSync(file), identity);
  } catch {
    return undefined; // absent
  }
}

function decodeSelection(bytes: Buffer, identity: Digest): SelectionRecord | undefined {
  if (bytes.length < HEAD_BYTES || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined;
  if (bytes.toString('hex', AT.identity, AT.digest) !== hexOf(identity)) return undefined;
  if (bytes.toString('hex', AT.check, AT.count) !== hexOf(digestOf(bytes.subarray(AT.count)))) return undefined;
  const count = bytes.readUInt32LE(AT.count);
  const end = HEAD_BYTES + count * STAMP_BYTES;
  const stamps = Uint8Array.from(bytes.subarray(HEAD_BYTES, end));
  const paths = bytes.toString('utf8', end).split('\0');
  if (paths.length !== count) return undefined;
  const digest = parseDigest(`sha256:${bytes.toString('hex', AT.digest, HEAD_BYTES)}`);
  return { digest, paths, stamps: new Uint32Array(stamps.buffer, 0, count * STAMP_WORDS) };
}
