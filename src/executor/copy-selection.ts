import type { CopyOp } from '../graph/index.ts';
import { hashSources } from './content-hash.ts';
import type { FileReader } from './file-hasher.ts';
import type { RootOf, SelectedSource } from './selected-source.ts';
import { selectSources } from './selection.ts';
import type { Fingerprint } from './source-files.ts';

/** What a COPY reads: listed, then hashed. A context is looked at once a build. */
export interface Selection {
  readonly sources: readonly SelectedSource[];
  readonly digest: string;
  /** Of the entries, in order: see `listFiles`. */
  readonly prints: readonly Fingerprint[];
}

export function selectAll(op: CopyOp, rootOf: RootOf, reader: FileReader): Selection {
  const sources = selectSources(op, rootOf);
  const prints: Fingerprint[] = [];
  return { sources, digest: hashSources(sources, reader, prints), prints };
}
