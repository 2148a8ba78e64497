import { posix } from 'node:path';
import { splitPathPattern } from '../parser/index.ts';
import { listSource, resolveSource, type SourceRoot, statSource } from './source-root.ts';

/** Neutralises a leading `/` and every `..` that would leave the root (containerfile-reference 1.7, "Sources"). */
export const cleanSource = (path: string): string => posix.join('/', path).replace(/^\/|\/$/g, '');

/** The path that a pattern without wildcards means, its escapes taken off; undefined where there is a wildcard. */
export function literalPath(pattern: string): string | undefined {
  const names = splitPathPattern(pattern).map(({ literal }) => literal);
  return names.includes(undefined) ? undefined : names.join('/');
}

/** Go's filepath.Glob over the source tree: component by component, sorted; links in the middle are followed inside the root. */
export function expandWildcard(root: SourceRoot, pattern: string): string[] {
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
