import { posix } from 'node:path';
import { BuildError } from '../errors.ts';
import { hasWildcard, parseIgnorePatterns } from '../parser/index.ts';
import { missingSource } from './missing-source.ts';
import type { PathSelection, PathSource } from './selected-source.ts';
import { cleanSource, expandWildcard, literalPath } from './source-pattern.ts';
import { resolveSource, type SourceRoot, statSource } from './source-root.ts';
import { isIgnored, type SourceFilter, walkSource } from './source-walk.ts';

/** `base/./pattern`: what is kept of the path below the destination begins behind the first `/./`. */
function splitAtPivot(path: string): { readonly base: string; readonly pattern: string } {
  const at = path.indexOf('/./');
  return at < 0
    ? { base: '', pattern: cleanSource(path) }
    : { base: cleanSource(path.slice(0, at)), pattern: cleanSource(path.slice(at + 3)) };
}

/**
 * `COPY --parents`: a directory with just what the pattern stands for, and the directories on the way there. The pattern
 * is one of ignore files (`**` is any number of directories); in front of the pivot only Go's filepath.Match holds. A path
 * without wildcards must be there (BuildKit's `RequiredPaths`). Throws `E_NOT_IN_CONTEXT`, `E_IGNORED_SOURCE`.
 */
export function selectWithParents(
  root: SourceRoot,
  source: PathSource,
  exclude: readonly SourceFilter[],
): PathSelection[] {
  const { base, pattern } = splitAtPivot(source.path);
  const literalBase = hasWildcard(base) ? undefined : base;
  const include = pattern === '' ? [] : [parseIgnorePatterns(['**', `!${pattern}`])];
  const bases = literalBase === undefined ? expandWildcard(root, base) : [literalBase];
  const selected = bases.flatMap((path) => selectBase(root, path, { source, filters: [...include, ...exclude] }) ?? []);
  if (literalBase === undefined) return selected;
  const [found] = selected;
  if (found === undefined) throw missingSource(root, source.path, literalBase);
  const literal = literalPath(pattern);
  if (literal !== undefined && literal !== '')
    requirePath(found, { path: literal, base: literalBase, exclude, source });
  return selected;
}

interface Base {
  readonly source: PathSource;
  readonly filters: readonly SourceFilter[];
}

function selectBase(root: SourceRoot, path: string, { source, filters }: Base): PathSelection | undefined {
  const real = resolveSource(root, path);
  const stat = real === undefined ? undefined : statSource(root, real);
  if (real === undefined || !stat?.isDirectory()) return undefined;
  const inside = walkSource(root, { directory: real, relative: '' }, filters);
  if (isIgnored(root, real) && inside.length === 0) return undefined;
  const { range, unpack } = source;
  const entries = [{ relative: '', path: real, stat }, ...inside];
  return { type: 'directory', name: posix.basename(path), range, root, unpack, entries };
}

interface Wanted {
  readonly path: string;
  readonly base: string;
  readonly exclude: readonly SourceFilter[];
  readonly source: PathSource;
}

function requirePath({ entries, root }: PathSelection, { path, base, exclude, source }: Wanted): void {
  if (entries.some(({ relative }) => relative === path)) return;
  if (exclude.some((filter) => filter.match(path).ignored)) return;
  const whole = posix.join(base, path);
  const real = resolveSource(root, whole);
  if (real === undefined || isIgnored(root, real) || isIgnored(root, whole))
    throw missingSource(root, source.path, whole);
  throw new BuildError('E_NOT_IN_CONTEXT', `Cannot copy "${source.path}" with --parents: it leads through a link`, {
    hint: `Name the path that it leads to: "${real}"`,
  });
}
