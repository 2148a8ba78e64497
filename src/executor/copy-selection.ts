import { BuildError } from '../errors.ts';
import type { CopyOp } from '../graph/index.ts';
import { type Digest, digestOf } from '../oci/index.ts';
import { type Described, hashSources, isLinkText } from './content-hash.ts';
import { editSelection } from './edited-selection.ts';
import type { FileHasher, FileReader } from './file-hasher.ts';
import { expectFiles, isAsStamped } from './file-status.ts';
import { type Looks, MOST_CHANGED } from './read-log.ts';
import type { RootOf, SelectedSource } from './selected-source.ts';
import { encodeTexts, readTexts, type SelectedTexts } from './selected-texts.ts';
import { selectSources } from './selection.ts';
import { encodeSelection, readSelection, type SelectionRecord } from './selection-record.ts';
import { placeOf } from './source-cursor.ts';
import { type Fingerprint, listFiles } from './source-files.ts';
import type { SourceRoot } from './source-root.ts';
import { markUsed, writeWhole } from './whole-file.ts';

/** What a COPY reads: listed, then hashed. A context is looked at once a build. */
export interface Selection {
  readonly sources: readonly SelectedSource[];
  readonly digest: Digest;
  /** A line a file: see `listFiles`. */
  readonly lines: readonly string[];
  /** What says whether another build would find the same; undefined: nothing does. */
  readonly seen?: Seen | undefined;
}

export interface Seen {
  readonly root: SourceRoot;
  /** Says what is selected, and from where. */
  readonly identity: Digest;
  readonly looks: Looks;
}

export function selectAll(op: CopyOp, rootOf: RootOf, reader: FileReader): ListedSelection {
  const sources = selectSources(op, rootOf);
  const described: Described = { prints: [] };
  return new ListedSelection(sources, hashSources(sources, reader, described), described.prints);
}

export interface Remembering {
  readonly hasher: FileHasher;
  /** Of the step: a context directory has one record for each. */
  readonly slot: string;
  /** What is remembered of the whole does not count. */
  readonly isFresh: boolean;
}

/**
 * The same for files of a context. Where all that an earlier build looked at has the stamps that it had, the digest is the one
 * of then, and no file is listed: that waits until somebody asks for it. Of a few files that changed, only these are read.
 */
export function selectFromContext(op: CopyOp, rootOf: RootOf, { hasher, slot, isFresh }: Remembering): Selection {
  const root = lastingRoot(op, rootOf);
  if (!root?.log) return selectAll(op, rootOf, hasher);
  const look = { op, root, identity: identityOf(op, root), hasher };
  const file = hasher.beside(digestOf(`selection ${slot}`).slice(7, 39));
  const record = readSelection(file, look.identity);
  const known = isFresh || !record ? undefined : lookAgain(look, file, record);
  return known ?? lookAtAll(look, file, { record, isFresh });
}

interface Look {
  readonly op: CopyOp;
  readonly root: SourceRoot;
  readonly identity: Digest;
  readonly hasher: FileHasher;
}

/** undefined: more changed than can be told from the record. */
function lookAgain({ op, root, identity, hasher }: Look, file: string, record: SelectionRecord): Selection | undefined {
  const changed = changesSince(root, record);
  if (!changed) return undefined;
  const select = (): Selection => selectAll(op, () => root, hasher);
  const seen = { root, identity };
  if (changed.length === 0) {
    markUsed(file);
    hasher.keep(root, record.paths);
    return new KnownSelection(record.digest, select, { seen: { ...seen, looks: record } });
  }
  const before = readTexts(textsFile(file), record.digest);
  const edited = before && editSelection({ root, hasher }, { record, changed, before });
  if (!edited) return undefined;
  hasher.keep(root, record.paths);
  const { texts, looks } = edited;
  if (texts !== before) writeTexts(file, texts);
  writeWhole(file, encodeSelection({ identity, digest: texts.digest, looks }));
  return new KnownSelection(texts.digest, select, { seen: { ...seen, looks }, lines: texts.lines });
}

function lookAtAll(
  { op, root, identity, hasher }: Look,
  file: string,
  { record, isFresh }: { readonly record: SelectionRecord | undefined; readonly isFresh: boolean },
): Selection {
  const start = Date.now();
  root.log?.start((path, stat) => hasher.isSettled({ root, path }, stat, start), record);
  const sources = selectSources(op, () => root);
  const texts: string[] = [];
  const described: Described = { prints: [], texts };
  const digest = hashSources(sources, hasher, described);
  const looks = root.log?.end();
  if (!looks) return new ListedSelection(sources, digest, described.prints);
  const selection = new ListedSelection(sources, digest, described.prints, { root, identity, looks });
  if (isFresh && record?.digest === digest) return selection;
  writeWhole(file, encodeSelection({ identity, digest, looks }));
  const [only] = sources;
  if (sources.length === 1 && only?.type === 'directory' && !texts.some(isLinkText))
    writeTexts(file, { digest, directory: only.entries[0]?.path ?? '', texts, lines: selection.lines });
  return selection;
}

const textsFile = (file: string): string => `${file}-texts`;

function writeTexts(file: string, texts: SelectedTexts): void {
  const bytes = encodeTexts(texts);
  if (bytes) writeWhole(textsFile(file), bytes);
}

/** The one directory that all files come from, where the next build finds it at the same place. */
function lastingRoot({ sources }: CopyOp, rootOf: RootOf): SourceRoot | undefined {
  const inputs = new Set(sources.flatMap((source) => (source.type === 'path' ? source.input : [])));
  const [input] = inputs;
  const root = input === undefined || inputs.size > 1 ? undefined : rootOf(input);
  return root?.isLasting ? root : undefined;
}

/** All that says which files are selected, beside the files. */
function identityOf({ sources, exclude, parents }: CopyOp, { directory, ignore, keepsOwners }: SourceRoot): Digest {
  const wanted = sources.map((source) => (source.type === 'path' ? [source.path] : source.file));
  const ignored = ignore?.patterns.map(({ text }) => text) ?? null;
  return digestOf(JSON.stringify([directory, keepsOwners, ignored, wanted, exclude, parents]));
}

/** Positions of paths whose stamps are others now, in order; undefined: too many, or they cannot be had. */
function changesSince(root: SourceRoot, { paths, words }: SelectionRecord): readonly number[] | undefined {
  const changed: number[] = [];
  try {
    const { directory } = placeOf(root, '');
    expectFiles(paths.length);
    for (const [position, name] of paths.entries()) {
      if (isAsStamped({ directory, name }, words, position)) continue;
      if (changed.push(position) > MOST_CHANGED) return undefined;
    }
    return changed;
  } catch {
    return undefined; // whoever reads the files is told
  }
}

class ListedSelection implements Selection {
  readonly sources: readonly SelectedSource[];
  readonly digest: Digest;
  readonly seen: Seen | undefined;
  readonly #prints: readonly Fingerprint[];
  #lines: readonly string[] | undefined;

  constructor(sources: readonly SelectedSource[], digest: Digest, prints: readonly Fingerprint[], seen?: Seen) {
    this.sources = sources;
    this.digest = digest;
    this.seen = seen;
    this.#prints = prints;
  }

  get lines(): readonly string[] {
    this.#lines ??= listFiles(this.sources, this.#prints);
    return this.#lines;
  }
}

/** A digest of files that nobody may ever have to list. */
class KnownSelection implements Selection {
  readonly digest: Digest;
  readonly seen: Seen;
  readonly #select: () => Selection;
  readonly #lines: readonly string[] | undefined;
  #selection: Selection | undefined;

  constructor(
    digest: Digest,
    select: () => Selection,
    { seen, lines }: { readonly seen: Seen; readonly lines?: readonly string[] },
  ) {
    this.digest = digest;
    this.seen = seen;
    this.#select = select;
    this.#lines = lines;
  }

  get sources(): readonly SelectedSource[] {
    return this.#whole().sources;
  }

  get lines(): readonly string[] {
    return this.#lines ?? this.#whole().lines;
  }

  /** Throws `E_CONTEXT` where the files are others than a moment ago: the key of the step speaks of those. */
  #whole(): Selection {
    this.#selection ??= this.#select();
    if (this.#selection.digest === this.digest) return this.#selection;
    throw new BuildError('E_CONTEXT', 'Cannot copy from the context: it changed while it was read', {
      hint: 'Stop what writes its files, or name them in .containerignore',
    });
  }
}
