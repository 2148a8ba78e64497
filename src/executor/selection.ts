import type { BigIntStats } from 'node:fs';
import { posix } from 'node:path';
import { BuildError, type SourceRange } from '../errors.ts';
import type { CopyOp, CopyOpSource } from '../graph/index.ts';
import { hasWildcard, splitPathPattern, suggest } from '../parser/index.ts';
import { listSource, resolveSource, type SourceRoot, statSource } from './source-root.ts';

/** One file, directory, link, ... of the source tree. */
export interface SourceEntry {
  /** Relative to the selected source; `''` is the source itself. */
  readonly relative: string;
  /** Relative to the source root; no component is a symbolic link (but the last may be one). */
  readonly path: string;
  readonly stat: BigIntStats;
}

/** What one source of a COPY stands for. */
export type SelectedSource =
  | { readonly type: 'inline'; readonly name: string; readonly content: string }
  | {
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
    };

/** The root behind an input of the node. */
export type RootOf = (input: number) => SourceRoot;

type PathSource = Extract<CopyOpSource, { type: 'path' }>;

/** Neutralises a leading `/` and every `..` that would leave the root (containerfile-reference 1.7, "Sources"). */
const cleanSource = (path: string): string => posix.join('/', path).replace(/^\/|\/$/g, '');

/** Finds what a COPY or ADD copies. Throws `E_NOT_IN_CONTEXT` or `E_IGNORED_SOURCE` with the source's place. */
export function selectSources(op: CopyOp, rootOf: RootOf): SelectedSource[] {
  const selected = op.sources.map((source): SelectedSource[] => {
    if (source.type === 'inline') return [{ type: 'inline', name: source.file.name, content: source.file.content }];
    try {
      return selectPath(rootOf(source.input), source);
    } catch (error) {
      throw error instanceof BuildError ? error.at(source.range) : error;
    }
  });
  // a pattern may match nothing as long as another source is there (as in buildah; BuildKit lets all be missing)
  const [first] = op.sources;
  if (first?.type === 'path' && selected.every((sources) => sources.length === 0))
    throw noMatch(rootOf(first.input), first);
  return selected.flat();
}

function selectPath(root: SourceRoot, source: PathSource): SelectedSource[] {
  const wanted = cleanSource(source.path);
  if (!hasWildcard(wanted)) {
    const found = selectOne(root, wanted, source);
    if (!found) throw missing(root, source.path, wanted);
    return [found];
  }
  return expandWildcard(root, wanted).flatMap((path) => selectOne(root, path, source) ?? []);
}

function noMatch(root: SourceRoot, source: PathSource): BuildError {
  const matches = expandWildcard(root, cleanSource(source.path)).length;
  return new BuildError('E_NOT_IN_CONTEXT', `Cannot copy "${source.path}": nothing in ${root.description} matches`, {
    range: source.range,
    hint:
      matches > 0
        ? `Its ${matches} matches are excluded by ${root.ignore?.fileName}`
        : 'Check the pattern: "*" and "?" do not cross "/", "[[]" is a literal bracket',
  });
}

const isIgnored = (root: SourceRoot, path: string): boolean =>
  path !== '' && root.ignore !== undefined && root.ignore.match(path).ignored;

function selectOne(root: SourceRoot, path: string, source: PathSource): SelectedSource | undefined {
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
  const below = walk(root, real, '');
  // an ignored directory of which nothing is left is not there
  if (isIgnored(root, real) && below.length === 0) return undefined;
  return { type: 'directory', name, range, root, unpack, entries: [{ relative: '', path: real, stat }, ...below] };
}

/** Everything below a directory that the ignore file leaves; an ignored directory counts where something in it is kept. */
function walk(root: SourceRoot, directory: string, prefix: string): SourceEntry[] {
  const entries: SourceEntry[] = [];
  for (const name of listSource(root, directory)) {
    const path = directory === '' ? name : `${directory}/${name}`;
    const relative = prefix === '' ? name : `${prefix}/${name}`;
    const ignored = isIgnored(root, path);
    if (ignored && root.ignore?.canSkipDirectory(path)) continue;
    const stat = statSource(root, path);
    if (stat === undefined || stat.isSocket()) continue;
    if (!stat.isDirectory()) {
      if (!ignored) entries.push({ relative, path, stat });
      continue;
    }
    const below = walk(root, path, relative);
    if (ignored && below.length === 0) continue;
    entries.push({ relative, path, stat });
    for (const entry of below) entries.push(entry);
  }
  return entries;
}

/** Go's filepath.Glob over the source tree: component by component, sorted; links in the middle are followed inside the root. */
function expandWildcard(root: SourceRoot, pattern: string): string[] {
  let found = [''];
  for (const part of splitPathPattern(pattern)) {
    found = found.flatMap((directory) => {
      const join = (name: string): string => (directory === '' ? name : `${directory}/${name}`);
      const real = resolveSource(root, directory);
      if (real === undefined || !statSource(root, real)?.isDirectory()) return [];
      if (part.literal !== undefined) {
        return resolveSource(root, join(part.literal)) === undefined ? [] : [join(part.literal)];
      }
      return listSource(root, real)
        .filter((name) => part.matches(name))
        .map(join);
    });
  }
  return found;
}

function missing(root: SourceRoot, written: string, path: string): BuildError {
  const real = resolveSource(root, path);
  const byName = root.ignore?.match(path);
  const ignored = byName?.ignored || real === undefined ? byName : root.ignore?.match(real);
  if (root.ignore && ignored?.ignored && real !== undefined) {
    const { text, line } = ignored.pattern ?? { text: '', line: 0 };
    return new BuildError('E_IGNORED_SOURCE', `Cannot copy "${written}": excluded by ${root.ignore.fileName}`, {
      hint: `${root.ignore.fileName}:${line} has the pattern "${text}"; change it, or add the line "!${path}" after it`,
    });
  }
  const parent = resolveSource(root, posix.dirname(path));
  const isDirectory = parent !== undefined && statSource(root, parent)?.isDirectory() === true;
  const near = isDirectory ? suggest(posix.basename(path), listSource(root, parent)) : undefined;
  const nearest = near === undefined ? undefined : posix.join(posix.dirname(path), near);
  return new BuildError(
    'E_NOT_IN_CONTEXT',
    `Cannot copy "${written}": no such file or directory in ${root.description}`,
    {
      hint:
        nearest === undefined
          ? 'Source paths are relative to the root of the context (or of the stage named by --from)'
          : `Did you mean "${nearest}"?`,
    },
  );
}
