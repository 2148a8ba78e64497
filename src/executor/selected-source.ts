import type { SourceRange } from '../errors.ts';
import type { CopyOpSource } from '../graph/index.ts';
import type { SourceRoot } from './source-root.ts';
import type { SourceEntry } from './source-walk.ts';

/** What one path of a COPY stands for. */
export interface PathSelection {
  readonly type: 'file' | 'directory';
  /** Base name as the user sees it: that of the link when a link was followed. */
  readonly name: string;
  readonly range: SourceRange;
  /** What it was found in. */
  readonly root: SourceRoot;
  /** A tar archive is unpacked. */
  readonly unpack: boolean;
  /** Parents before children, sorted. A file has one entry; a directory its contents and itself (`''`). */
  readonly entries: readonly SourceEntry[];
}

/** What one source of a COPY stands for. */
export type SelectedSource =
  | { readonly type: 'inline'; readonly name: string; readonly content: string }
  | PathSelection;

/** The root behind an input of the node. */
export type RootOf = (input: number) => SourceRoot;

export type PathSource = Extract<CopyOpSource, { type: 'path' }>;
