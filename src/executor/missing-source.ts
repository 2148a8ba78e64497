import { posix } from 'node:path';
import { BuildError } from '../errors.ts';
import { suggest } from '../parser/index.ts';
import { cleanSource, expandWildcard } from './source-pattern.ts';
import { listSource, resolveSource, type SourceRoot, statSource } from './source-root.ts';
import { isIgnored } from './source-walk.ts';

const ROOTED = 'Source paths are relative to the root of the context (or of the stage named by --from)';
const ABOVE =
  '"../" does not lead out of the context: build with a directory above as the context and -f FILE, or name that directory with --build-context NAME=DIR and COPY --from=NAME';
const DANGLING = 'It is a symbolic link; links are followed inside of the context only, and nothing is there';
/** A file of the same name elsewhere is looked for in so many places: enough for a project, and no wait. */
const MOST_LOOKED_AT = 2000;

/** What a path without wildcards was not found for: an ignore file, or a name that is not there. `path` is clean. */
export function missingSource(root: SourceRoot, written: string, path: string): BuildError {
  const real = resolveSource(root, path);
  const ignored = real === undefined ? undefined : [path, real].find((name) => isIgnored(root, name));
  if (ignored !== undefined) return ignoredSource(root, written, { path: ignored, again: ignored });
  const found = nearestSource(root, path);
  if (leadsOut(written) && found !== path) {
    return new BuildError('E_NOT_IN_CONTEXT', `Cannot copy "${written}": "${path}" is not in ${root.description}`, {
      hint: ABOVE,
    });
  }
  // the name itself is there when it is a link to what is not
  const nearest = found === path ? undefined : found;
  return new BuildError(
    'E_NOT_IN_CONTEXT',
    `Cannot copy "${written}": no such file or directory in ${root.description}`,
    { hint: nearest !== undefined ? `Did you mean "${nearest}"?` : found === path ? DANGLING : ROOTED },
  );
}

const leadsOut = (written: string): boolean => /^(?:\.\.\/|\.\.$)/.test(posix.normalize(written.replace(/^\/+/, '')));

interface Ignored {
  /** What the ignore file has a pattern for. */
  readonly path: string;
  /** What would take it in again. */
  readonly again: string;
  readonly count?: string;
}

function ignoredSource(root: SourceRoot, written: string, { path, again, count = '' }: Ignored): BuildError {
  const fileName = root.ignore?.fileName ?? '';
  const { text, line } = root.ignore?.match(path).pattern ?? { text: '', line: 0 };
  return new BuildError('E_IGNORED_SOURCE', `Cannot copy "${written}": excluded by ${fileName}`, {
    hint: `${count}${fileName}:${line} has the pattern "${text}"; change it, or add the line "!${again}" after it`,
  });
}

/** Nothing that a pattern stands for is left. */
export function unmatchedPattern(root: SourceRoot, written: string, exclude: readonly string[]): BuildError {
  const pattern = cleanSource(written);
  const matches = expandWildcard(root, pattern);
  const [ignored] = matches.filter((path) => isIgnored(root, resolveSource(root, path) ?? path));
  const count = `${matches.length} ${matches.length === 1 ? 'match' : 'matches'}`;
  if (ignored !== undefined)
    return ignoredSource(root, written, { path: ignored, again: pattern, count: `${count}: ` });
  if (matches.length > 0 && exclude.length > 0) {
    return new BuildError('E_NOT_IN_CONTEXT', `Cannot copy "${written}": --exclude leaves nothing of its ${count}`, {
      hint: `Take ${exclude.map((text) => `"${text}"`).join(' or ')} out of --exclude`,
    });
  }
  return new BuildError('E_NOT_IN_CONTEXT', `Cannot copy "${written}": nothing in ${root.description} matches`, {
    hint: written.includes('**')
      ? 'Without --parents "**" does not cross "/": write one "*" for each directory, or use COPY --parents'
      : 'Check the pattern: "*" and "?" do not cross "/", "[[]" is a literal bracket',
  });
}

/** The same path with the first name that is not there spelt as one that is, or the same name in another directory. */
function nearestSource(root: SourceRoot, path: string): string | undefined {
  try {
    return respelt(root, path) ?? elsewhere(root, posix.basename(path));
  } catch {
    return undefined; // what cannot be read is no suggestion
  }
}

function respelt(root: SourceRoot, path: string): string | undefined {
  const names = path.split('/');
  const at = names.findIndex((_, index) => resolveSource(root, names.slice(0, index + 1).join('/')) === undefined);
  const parent = names.slice(0, at).join('/');
  const directory = resolveSource(root, parent);
  if (directory === undefined || !statSource(root, directory)?.isDirectory()) return undefined;
  const near = suggest(names[at] ?? '', listSource(root, directory));
  if (near === undefined) return undefined;
  const nearest = posix.join(parent, near, ...names.slice(at + 1));
  return resolveSource(root, nearest) === undefined ? undefined : nearest;
}

function elsewhere(root: SourceRoot, wanted: string): string | undefined {
  let lookedAt = 0;
  const directories = [''];
  for (let directory = directories.shift(); directory !== undefined; directory = directories.shift()) {
    for (const name of listSource(root, directory)) {
      const path = directory === '' ? name : `${directory}/${name}`;
      if (isIgnored(root, path)) continue;
      if (name === wanted) return path;
      if (++lookedAt > MOST_LOOKED_AT) return undefined;
      if (statSource(root, path)?.isDirectory()) directories.push(path);
    }
  }
  return undefined;
}
