import type { RootEntry } from './root-view.ts';

/** What one layer says about a path. */
export type LayerNode =
  | { readonly kind: 'whiteout' }
  /** A hard link to a file of a layer below. */
  | { readonly kind: 'link'; readonly linkname: string }
  | {
      readonly kind: 'entry';
      readonly entry: RootEntry;
      /** A directory that the layer's tar does not have itself: it speaks for its children only. */
      readonly isImplicit: boolean;
      /** A directory that hides what lies below it. */
      readonly isOpaque: boolean;
    };

/**
 * One layer for look-ups. Paths are relative and clean, the root is `''`; the caller asks for a path only after all its parents
 * were directories in this layer. Two forms: a directory, or the index of a tar.
 */
export interface LayerTree {
  readonly isOpaqueRoot: boolean;
  lookup(path: string): LayerNode | undefined;
  /** Names in a directory of this layer, those of whiteouts included. */
  list(path: string): readonly string[];
  /** A file's bytes; the caller has checked that it is one and how large. */
  readFile(path: string): Promise<Uint8Array>;
}

export const join = (directory: string, name: string): string => (directory === '' ? name : `${directory}/${name}`);

/** The attributes of a directory that nobody described. */
export const implicitDirectory = (path: string): RootEntry => ({
  type: 'directory',
  path,
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: 0,
});
