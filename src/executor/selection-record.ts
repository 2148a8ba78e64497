import { readFileSync } from 'node:fs';
import { type Digest, digestOf, hexOf, parseDigest } from '../oci/index.ts';
import { STAMP_BYTES } from './file-stat.ts';
import type { EarlierLooks, Listing, Looks } from './read-log.ts';

/** Another number where what a selection's digest covers changes. */
const MAGIC = 'tsbuild-selection 2\n';
const SHA_BYTES = 32;
/**
 * sha256 of what follows it (zlib, which has CRC-32, takes 4 ms to load), numbers of paths and of listings, what was selected,
 * its digest. Then stamps, three numbers for each listing, and paths.
 */
const AT = {
  check: MAGIC.length,
  count: MAGIC.length + SHA_BYTES,
  listings: MAGIC.length + SHA_BYTES + 4,
  identity: MAGIC.length + SHA_BYTES + 8,
  digest: MAGIC.length + 2 * SHA_BYTES + 8,
} as const;
const LISTING_WORDS = 3;
const HEAD_BYTES = AT.digest + SHA_BYTES;

/** The digest of what a COPY selected, with the stamps of all that it depends on. */
export interface SelectionRecord extends EarlierLooks, Looks {
  readonly digest: Digest;
  /** Of `stamps`: `STAMP_WORDS` for each path. */
  readonly words: Uint32Array;
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
  const { paths, stamps, listings } = looks;
  head.writeUInt32LE(paths.length, AT.count);
  head.writeUInt32LE(listings.length, AT.listings);
  head.write(hexOf(identity), AT.identity, 'hex');
  head.write(hexOf(digest), AT.digest, 'hex');
  const numbers = Uint32Array.from(listings.flatMap(({ directory, start, count }) => [directory, start, count]));
  const bytes = Buffer.concat([head, stamps, Buffer.from(numbers.buffer), Buffer.from(paths.join('\0'))]);
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
  const stampsEnd = HEAD_BYTES + count * STAMP_BYTES;
  const end = stampsEnd + bytes.readUInt32LE(AT.listings) * LISTING_WORDS * Uint32Array.BYTES_PER_ELEMENT;
  const paths = bytes.toString('utf8', end).split('\0');
  if (paths.length !== count) return undefined;
  return {
    digest: parseDigest(`sha256:${bytes.toString('hex', AT.digest, HEAD_BYTES)}`),
    paths,
    stamps: bytes.subarray(HEAD_BYTES, stampsEnd),
    words: wordsOf(bytes.subarray(HEAD_BYTES, stampsEnd)),
    // those that are as they were stamped, and only those are of any use, are settled
    unsettled: new Map(),
    listings: listingsOf(wordsOf(bytes.subarray(stampsEnd, end))),
    stampAt: (position) => {
      const at = HEAD_BYTES + position * STAMP_BYTES;
      return bytes.toString('latin1', at, at + STAMP_BYTES);
    },
  };
}

/** A copy: words must begin at multiples of four. */
const wordsOf = (bytes: Uint8Array): Uint32Array => new Uint32Array(Uint8Array.from(bytes).buffer);

function listingsOf(words: Uint32Array): readonly Listing[] {
  const listings: Listing[] = [];
  for (let at = 0; at < words.length; at += LISTING_WORDS)
    listings.push({ directory: words[at] ?? 0, start: words[at + 1] ?? 0, count: words[at + 2] ?? 0 });
  return listings;
}
