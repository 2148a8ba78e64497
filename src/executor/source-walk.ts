import type { IgnoreFile } from '../parser/index.ts';
import type { FileStat } from './file-stat.ts';
import { listSource, type SourceRoot, statSource } from './source-root.ts';

/** One file, directory, link, ... of the source tree. */
export interface SourceEntry {
  /** Relative to the selected source; `''` is the source itself. */
  readonly relative: string;
  /** Relative to the source root; no component is a symbolic link (but the last may be one). */
  readonly path: string;
  readonly stat: FileStat;
  /** A directory that is not selected itself, but something in it is. */
  readonly isParent?: true;
}

/** Patterns that say what a COPY leaves out, against paths relative to the source. */
export type SourceFilter = Pick<IgnoreFile, 'match' | 'canSkipDirectory'>;

export const isIgnored = (root: SourceRoot, path: string): boolean =>
  path !== '' && root.ignore !== undefined && root.ignore.match(path).ignored;

const NONE: readonly SourceFilter[] = [];

interface Place {
  readonly directory: string;
  /** Of the directory, relative to the source. */
  readonly relative: string;
}

const below = (parent: string, name: string): string => (parent === '' ? name : `${parent}/${name}`);

/**
 * Everything below a directory that the context's ignore file and the filters leave, parents before children, sorted; a
 * directory that is left out counts where something in it is kept.
 */
export function walkSource(
  root: SourceRoot,
  { directory, relative: prefix }: Place,
  filters: readonly SourceFilter[],
): SourceEntry[] {
  const entries: SourceEntry[] = [];
  for (const name of listSource(root, directory)) {
    const path = below(directory, name);
    const relative = below(prefix, name);
    const ignored = isIgnored(root, path);
    const closed = filters.length === 0 ? NONE : filters.filter((filter) => filter.match(relative).ignored);
    if (ignored && root.ignore?.canSkipDirectory(path)) continue;
    if (closed.some((filter) => filter.canSkipDirectory(relative))) continue;
    const stat = statSource(root, path);
    if (stat === undefined || stat.isSocket()) continue;
    const isOut = ignored || closed.length > 0;
    if (!stat.isDirectory()) {
      if (!isOut) entries.push({ relative, path, stat });
      continue;
    }
    const inside = walkSource(root, { directory: path, relative }, filters);
    if (isOut && inside.length === 0) continue;
    entries.push({ relative, path, stat, ...(closed.length > 0 ? { isParent: true } : {}) });
    for (const entry of inside) entries.push(entry);
  }
  return entries;
}
