import { posix } from 'node:path';
import { BuildError } from '../errors.ts';
import type { CopyOp } from '../graph/index.ts';
import { hasWildcard, parseIgnorePatterns } from '../parser/index.ts';
import { missingSource, unmatchedPattern } from './missing-source.ts';
import { selectWithParents } from './parents-selection.ts';
import type { PathSelection, PathSource, RootOf, SelectedSource } from './selected-source.ts';
import { cleanSource, expandWildcard } from './source-pattern.ts';
import { resolveSource, type SourceRoot, statSource } from './source-root.ts';
import { isIgnored, type SourceFilter, walkSource } from './source-walk.ts';

/** `--exclude`: against paths relative to a directory that is copied, and against what a wildcard matches. */
interface Exclusion {
  /** All patterns in one, or none. */
  readonly filters: readonly SourceFilter[];
  readonly rules: readonly { readonly isNegated: boolean; readonly positive: SourceFilter }[];
}

function exclusionOf(patterns: readonly string[]): Exclusion {
  const rules = patterns.map((written) => {
    const pattern = written.trim();
    return { isNegated: pattern.startsWith('!'), positive: parseIgnorePatterns([pattern.replace(/^!/, '')]) };
  });
  return { rules, filters: patterns.length === 0 ? [] : [parseIgnorePatterns(patterns)] };
}

/** Finds what a COPY or ADD copies. Throws `E_NOT_IN_CONTEXT` or `E_IGNORED_SOURCE` with the source's place. */
export function selectSources(op: CopyOp, rootOf: RootOf): SelectedSource[] {
  const exclusion = exclusionOf(op.exclude);
  const selected = op.sources.map((source): SelectedSource[] => {
    if (source.type === 'inline') return [{ type: 'inline', name: source.file.name, content: source.file.content }];
    try {
      const root = rootOf(source.input);
      return op.parents ? selectWithParents(root, source, exclusion.filters) : selectPath(root, source, exclusion);
    } catch (error) {
      throw error instanceof BuildError ? error.at(source.range) : error;
    }
  });
  // a pattern may match nothing as long as another source is there (as in buildah; BuildKit lets all be missing)
  const [first] = op.sources;
  if (first?.type === 'path' && !op.parents && selected.every((sources) => sources.length === 0))
    throw unmatchedPattern(rootOf(first.input), first.path, op.exclude).at(first.range);
  return selected.flat();
}

function selectPath(root: SourceRoot, source: PathSource, exclusion: Exclusion): SelectedSource[] {
  const wanted = cleanSource(source.path);
  if (!hasWildcard(wanted)) {
    const found = selectOne(root, wanted, { source, filters: exclusion.filters });
    if (!found) throw missingSource(root, source.path, wanted);
    return [found];
  }
  return expandWildcard(root, wanted).flatMap((path) => selectMatch(root, path, { source, exclusion }) ?? []);
}

/** `COPY --exclude=*.txt dir/* /`: what the pattern matches is named by its path and by its base name. */
function isExcluded({ rules }: Exclusion, path: string): boolean {
  const names = [path, posix.basename(path)];
  const last = rules.findLast(({ positive }) => names.some((name) => positive.match(name).ignored));
  return last?.isNegated === false;
}

interface Match {
  readonly source: PathSource;
  readonly exclusion: Exclusion;
}

function selectMatch(root: SourceRoot, path: string, { source, exclusion }: Match): PathSelection | undefined {
  const found = selectOne(root, path, { source, filters: exclusion.filters });
  if (found === undefined || !isExcluded(exclusion, path)) return found;
  // the destination is made all the same, as in BuildKit
  return found.type === 'file' ? undefined : { ...found, entries: found.entries.slice(0, 1) };
}

interface One {
  readonly source: PathSource;
  readonly filters: readonly SourceFilter[];
}

function selectOne(root: SourceRoot, path: string, { source, filters }: One): PathSelection | undefined {
  const { range, unpack } = source;
  const real = resolveSource(root, path);
  if (real === undefined) return undefined;
  const stat = statSource(root, real);
  if (stat === undefined) return undefined;
  const name = posix.basename(path);
  // a link that is ignored is not in the context, whatever it leads to
  if (path !== real && isIgnored(root, path)) return undefined;
  if (!stat.isDirectory()) {
    if (isIgnored(root, real)) return undefined;
    return { type: 'file', name, range, root, unpack, entries: [{ relative: '', path: real, stat }] };
  }
  const below = walkSource(root, { directory: real, relative: '' }, filters);
  // an ignored directory of which nothing is left is not there
  if (isIgnored(root, real) && below.length === 0) return undefined;
  return { type: 'directory', name, range, root, unpack, entries: [{ relative: '', path: real, stat }, ...below] };
}
