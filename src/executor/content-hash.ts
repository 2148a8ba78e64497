import { sha256 } from '../oci/index.ts';
import type { FileReader } from './file-hasher.ts';
import type { SelectedSource } from './selected-source.ts';
import { copiedEntries, type Fingerprint, shortened, shortHash } from './source-files.ts';
import { readSourceLink, type SourceRoot, unreadable } from './source-root.ts';
import type { SourceEntry } from './source-walk.ts';

/**
 * Digest of exactly what a COPY reads: names, types, modes, owners (where they are kept), link targets, xattrs,
 * hard links and bytes; never times. `prints` gets one for each of `copiedEntries`.
 */
export function hashSources(
  sources: readonly SelectedSource[],
  hasher: FileReader,
  prints: Fingerprint[] = [],
): string {
  const hash = new TextHash();
  const inodes = new Map<string, string>();
  for (const [position, source] of sources.entries()) {
    if (source.type === 'inline') {
      hash.add(JSON.stringify(['inline', source.name, source.content]));
      continue;
    }
    hash.add(JSON.stringify([source.type, source.type === 'file' ? source.name : '']));
    for (const entry of copiedEntries(source)) {
      try {
        hash.add(JSON.stringify(describe(source.root, entry, { hasher, inodes, position, prints })));
      } catch (error) {
        throw unreadable(source.root, entry.path, error);
      }
    }
  }
  return `sha256:${hash.hex()}`;
}

/** Enough that the calls do not count beside the hashing. */
const TEXT_CHARACTERS = 64 * 1024;

/** sha256 of short texts, one after another. */
class TextHash {
  readonly #hash = sha256();
  #text = '';

  add(text: string): void {
    this.#text += text;
    if (this.#text.length > TEXT_CHARACTERS) this.#flush();
  }

  hex(): string {
    this.#flush();
    return this.#hash.digest('hex');
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

const NONE: readonly (readonly [string, string])[] = [];

function describe(root: SourceRoot, entry: SourceEntry, memory: Memory): unknown[] {
  const { stat } = entry;
  const found = memory.hasher.xattrs({ root, path: entry.path }, stat);
  const xattrs =
    found.size === 0 ? NONE : [...found].map(([name, value]) => [name, Buffer.from(value).toString('hex')]);
  const [kind, ...content] = contentOf(root, entry, memory);
  memory.prints.push({
    content: kind === 'file' ? shortened(`${content[0]}`) : content.length === 0 ? '' : shortHash(`${content[0]}`),
    attributes: xattrs.length === 0 ? '' : shortHash(JSON.stringify(xattrs)),
  });
  return root.keepsOwners
    ? [kind, entry.relative, stat.mode, stat.uid, stat.gid, xattrs, ...content]
    : [kind, entry.relative, stat.mode, xattrs, ...content];
}

function contentOf(root: SourceRoot, entry: SourceEntry, { hasher, inodes, position }: Memory): [string, ...unknown[]] {
  const { stat } = entry;
  if (stat.isSymbolicLink()) return ['link', readSourceLink(root, entry.path)];
  if (stat.isDirectory()) return [entry.isParent ? 'parent' : 'directory'];
  if (!stat.isFile()) return ['special', stat.rdev];
  if (stat.nlink > 1) {
    const { inode } = stat;
    const first = inodes.get(inode);
    if (first !== undefined) return ['hardlink', first];
    inodes.set(inode, `${position}/${entry.relative}`);
  }
  return ['file', hasher.hash({ root, path: entry.path }, stat)];
}
