import { BuildError } from '../errors.ts';
import type { CopyOp } from '../graph/index.ts';
import { type Digest, digestOf } from '../oci/index.ts';
import { hashSources } from './content-hash.ts';
import type { FileHasher, FileReader } from './file-hasher.ts';
import { expectFiles, isAsStamped } from './file-status.ts';
import type { RootOf, SelectedSource } from './selected-source.ts';
import { selectSources } from './selection.ts';
import { encodeSelection, readSelection, type SelectionRecord } from './selection-record.ts';
import { placeOf } from './source-cursor.ts';
import type { Fingerprint } from './source-files.ts';
import type { SourceRoot } from './source-root.ts';
import { writeWhole } from './whole-file.ts';

/** What a COPY reads: listed, then hashed. A context is looked at once a build. */
export interface Selection {
  readonly sources: readonly SelectedSource[];
  readonly digest: Digest;
  /** Of the entries, in order: see `listFiles`. */
  readonly prints: readonly Fingerprint[];
}

export function selectAll(op: CopyOp, rootOf: RootOf, reader: FileReader): Selection {
  const sources = selectSources(op, rootOf);
  const prints: Fingerprint[] = [];
  return { sources, digest: hashSources(sources, reader, prints), prints };
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
 * of then, and no file is listed: that waits until somebody asks for it.
 */
export function selectFromContext(op: CopyOp, rootOf: RootOf, { hasher, slot, isFresh }: Remembering): Selection {
  const root = lastingRoot(op, rootOf);
  if (!root?.log) return selectAll(op, rootOf, hasher);
  const identity = identityOf(op, root);
  const file = hasher.beside(digestOf(`selection ${slot}`).slice(7, 39));
  const record = readSelection(file, identity);
  if (!isFresh && record && isUnchanged(root, record)) {
    hasher.keep(root, record.paths);
    return new KnownSelection(record.digest, () => selectAll(op, rootOf, hasher));
  }
  const start = Date.now();
  root.log.start((path, stat) => hasher.isSettled({ root, path }, stat, start), record);
  const selection = selectAll(op, rootOf, hasher);
  const looks = root.log.end();
  const { digest } = selection;
  if (looks && !(isFresh && record?.digest === digest)) writeWhole(file, encodeSelection({ identity, digest, looks }));
  return selection;
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

function isUnchanged(root: SourceRoot, { paths, stamps }: SelectionRecord): boolean {
  try {
    const { directory } = placeOf(root, '');
    expectFiles(paths.length);
    return paths.every((name, at) => isAsStamped({ directory, name }, stamps, at));
  } catch {
    return false; // whoever reads the files is told
  }
}

/** A digest of files that nobody may ever have to read. */
class KnownSelection implements Selection {
  readonly digest: Digest;
  readonly #select: () => Selection;
  #selection: Selection | undefined;

  constructor(digest: Digest, select: () => Selection) {
    this.digest = digest;
    this.#select = select;
  }

  get sources(): readonly SelectedSource[] {
    return this.#whole().sources;
  }

  get prints(): readonly Fingerprint[] {
    return this.#whole().prints;
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
