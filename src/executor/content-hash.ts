import { type Digest, digestFrom, sha256 } from '../oci/index.ts';
import type { FileReader } from './file-hasher.ts';
import type { SelectedSource } from './selected-source.ts';
import { copiedEntries, type Fingerprint, shortened, shortHash } from './source-files.ts';
import { readSourceLink, type SourceRoot, unreadable } from './source-root.ts';
import type { SourceEntry } from './source-walk.ts';

/**
 * Digest of exactly what a COPY reads: names, types, modes, owners (where they are kept), link targets, xattrs,
 * hard links and bytes; never times (what it covers is also remembered: see `MAGIC` in selection-record.ts and selected-texts.ts).
 */
export function hashSources(
  sources: readonly SelectedSource[],
  hasher: FileReader,
  { prints, texts }: Described = { prints: [] },
): Digest {
  const hash = new TextHash(texts);
  const inodes = new Map<string, string>();
  for (const [position, source] of sources.entries()) {
    if (source.type === 'inline') {
      hash.add(JSON.stringify(['inline', source.name, source.content]));
      continue;
    }
    hash.add(JSON.stringify([source.type, source.type === 'file' ? source.name : '']));
    const memory = { hasher, inodes, position, prints };
    for (const entry of copiedEntries(source)) {
      try {
        hash.add(describe(source.root, entry, memory));
      } catch (error) {
        throw unreadable(source.root, entry.path, error);
      }
    }
  }
  return hash.digest();
}

/** What is described, one for each of `copiedEntries`. */
export interface Described {
  readonly prints: Fingerprint[];
  /** What the digest is made of; of each source, too. */
  readonly texts?: string[];
}

/** The digest of the same texts. */
export function hashTexts(texts: readonly string[]): Digest {
  const hash = new TextHash();
  for (const text of texts) hash.add(text);
  return hash.digest();
}

/** Of a regular file with one name, or a directory: its text and its print are those of any selection that has it. */
export function describeAlone(root: SourceRoot, entry: SourceEntry, hasher: FileReader): DescribedAlone {
  const prints: Fingerprint[] = [];
  try {
    const text = describe(root, entry, { hasher, inodes: new Map(), position: 0, prints });
    return { text, print: prints[0] ?? { content: '', attributes: '' } };
  } catch (error) {
    throw unreadable(root, entry.path, error);
  }
}

interface DescribedAlone {
  readonly text: string;
  readonly print: Fingerprint;
}

/** Whether the text is that of a further name of a file: it names another one. */
export const isLinkText = (text: string): boolean => text.startsWith('["hardlink"');

/** Enough that the calls do not count beside the hashing. */
const TEXT_CHARACTERS = 64 * 1024;

/** sha256 of short texts, one after another. */
class TextHash {
  readonly #hash = sha256();
  readonly #texts: string[] | undefined;
  #text = '';

  /** `texts` gets all of them. */
  constructor(texts?: string[]) {
    this.#texts = texts;
  }

  add(text: string): void {
    this.#texts?.push(text);
    this.#text += text;
    if (this.#text.length > TEXT_CHARACTERS) this.#flush();
  }

  digest(): Digest {
    this.#flush();
    return digestFrom(this.#hash);
  }

  #flush(): void {
    this.#hash.update(this.#text);
    this.#text = '';
  }
}

interface Memory {
  readonly hasher: FileReader;
  /** Inode to the first name that it was met under, over all sources: the layer links them, too. */
  readonly inodes: Map<string, string>;
  /** Of the source. */
  readonly position: number;
  readonly prints: Fingerprint[];
}

/** The JSON of an array: kind, name, mode, owner, attributes, content. */
function describe(root: SourceRoot, entry: SourceEntry, memory: Memory): string {
  const { stat } = entry;
  const found = memory.hasher.xattrs({ root, path: entry.path }, stat);
  const xattrs = found.size === 0 ? '[]' : xattrsText(found);
  const { kind, content, print } = contentOf(root, entry, memory);
  memory.prints.push({ content: print, attributes: found.size === 0 ? '' : shortHash(xattrs) });
  const owner = root.keepsOwners ? `,${stat.uid},${stat.gid}` : '';
  return `["${kind}",${JSON.stringify(entry.relative)},${stat.mode}${owner},${xattrs}${content}]`;
}

const xattrsText = (xattrs: ReadonlyMap<string, Uint8Array>): string =>
  JSON.stringify([...xattrs].map(([name, value]) => [name, Buffer.from(value).toString('hex')]));

interface Content {
  readonly kind: string;
  /** JSON, after a comma; empty for what has none. */
  readonly content: string;
  /** See `Fingerprint`. */
  readonly print: string;
}

const textual = (kind: string, text: string): Content => ({
  kind,
  content: `,${JSON.stringify(text)}`,
  print: shortHash(text),
});

function contentOf(root: SourceRoot, entry: SourceEntry, { hasher, inodes, position }: Memory): Content {
  const { stat } = entry;
  if (stat.isSymbolicLink()) return textual('link', readSourceLink(root, entry.path));
  if (stat.isDirectory()) return { kind: entry.isParent ? 'parent' : 'directory', content: '', print: '' };
  if (!stat.isFile()) return { kind: 'special', content: `,${stat.rdev}`, print: shortHash(`${stat.rdev}`) };
  if (stat.nlink > 1) {
    const { inode } = stat;
    const first = inodes.get(inode);
    if (first !== undefined) return textual('hardlink', first);
    inodes.set(inode, `${position}/${entry.relative}`);
  }
  const hash = hasher.hash({ root, path: entry.path }, stat);
  return { kind: 'file', content: `,"${hash}"`, print: shortened(hash) };
}
