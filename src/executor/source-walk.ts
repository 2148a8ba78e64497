import type { IgnoreFile } from '../parser/index.ts';
import type { FileStat } from './file-stat.ts';
import { listSource, type SourceRoot, statNames } from './source-root.ts';

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

interface Place {
  readonly directory: string;
  /** Of the directory, relative to the source. */
  readonly relative: string;
}

const below = (parent: string, name: string): string => (parent === '' ? name : `${parent}/${name}`);

interface Walk {
  readonly root: SourceRoot;
  readonly filters: readonly SourceFilter[];
  readonly entries: SourceEntry[];
}

/**
 * Everything below a directory that the context's ignore file and the filters leave, parents before children, sorted; a
 * directory that is left out counts where something in it is kept.
 */
export function walkSource(root: SourceRoot, place: Place, filters: readonly SourceFilter[]): SourceEntry[] {
  const entries: SourceEntry[] = [];
  addBelow({ root, filters, entries }, place);
  return entries;
}

function addBelow(walk: Walk, place: Place): void {
  const { root, entries } = walk;
  const { names, left } = namesIn(walk, place);
  root.log?.listed(place.directory, names.length);
  // all of a directory before what is below it: it is entered once
  const stats = statNames(root, place.directory, names);
  for (let index = 0; index < names.length; index++) {
    const [name, stat] = [names[index] ?? '', stats[index]];
    if (stat === undefined || stat.isSocket()) continue;
    const path = below(place.directory, name);
    const relative = below(place.relative, name);
    const by = left?.get(name);
    if (!stat.isDirectory()) {
      if (by === undefined) entries.push({ relative, path, stat });
      continue;
    }
    const length = entries.push({ relative, path, stat, ...(by === 'filter' ? { isParent: true } : {}) });
    addBelow(walk, { directory: path, relative });
    if (by !== undefined && entries.length === length) entries.pop();
  }
}

interface Names {
  /** Without those of which nothing can be left. */
  readonly names: readonly string[];
  /** What the ignore file or a filter leaves out, but maybe not all of what is in it. */
  readonly left?: ReadonlyMap<string, 'ignored' | 'filter'>;
}

function namesIn({ root, filters }: Walk, { directory, relative: prefix }: Place): Names {
  const listed = root.log?.namesIn(directory) ?? listSource(root, directory);
  if (root.ignore === undefined && filters.length === 0) return { names: listed };
  const left = new Map<string, 'ignored' | 'filter'>();
  const names = listed.filter((name) => {
    const path = below(directory, name);
    const relative = below(prefix, name);
    const closed = filters.filter((filter) => filter.match(relative).ignored);
    const ignored = isIgnored(root, path);
    if (ignored && root.ignore?.canSkipDirectory(path)) return false;
    if (closed.some((filter) => filter.canSkipDirectory(relative))) return false;
    if (closed.length > 0) left.set(name, 'filter');
    else if (ignored) left.set(name, 'ignored');
    return true;
  });
  return { names, left };
}
