import { readFileSync } from 'node:fs';
import { type Digest, digestOf, isDigest } from '../oci/index.ts';

/** Another number where the texts of the same files are others. */
const MAGIC = 'tsbuild-texts 1';
const FIELDS = 4;

/** What the digest of a COPY of one directory was made of, so that a few of many files can be put in anew. */
export interface SelectedTexts {
  /** Of the texts. */
  readonly digest: Digest;
  /** That is copied; relative to the root. */
  readonly directory: string;
  /** See `hashSources`: of the source, then of its entries. */
  readonly texts: readonly string[];
  /** See `listFiles`; one for each entry. */
  readonly lines: readonly string[];
}

/** undefined: somebody could not tell them apart again, or the lines are not those of single files. */
export function encodeTexts({ digest, directory, texts, lines }: SelectedTexts): Buffer | undefined {
  if (texts.length !== lines.length + 1) return undefined;
  const body = [MAGIC, digest, directory, ...texts, ...lines].join('\0');
  return Buffer.from(`${digestOf(body)}\0${body}`);
}

/** undefined: there are none of this digest, or they are damaged. */
export function readTexts(file: string, digest: Digest): SelectedTexts | undefined {
  const [check = '', ...fields] = textIn(file).split('\0');
  const [magic, found, directory = '', ...both] = fields;
  if (magic !== MAGIC || found !== digest || !isDigest(check) || digestOf(fields.join('\0')) !== check)
    return undefined;
  const count = (fields.length - FIELDS) / 2;
  return { digest, directory, texts: both.slice(0, count + 1), lines: both.slice(count + 1) };
}

function textIn(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // absent
  }
}
