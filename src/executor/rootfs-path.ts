import { posix } from 'node:path';
import { BuildError } from '../errors.ts';
import type { RootEntry, RootView } from '../layers/index.ts';

/** Linux follows at most 40 links in one look-up (path_resolution(7)). */
const MAX_LINKS = 40;

export interface ResolvedPath {
  /** Absolute and clean; no component that exists is a symbolic link. */
  readonly path: string;
  /** undefined: nothing there. */
  readonly entry: RootEntry | undefined;
}

/**
 * Follows symbolic links inside the root, as chroot would: absolute targets start at the root, `..` stops there.
 * Components that do not exist are kept as they are. Throws `E_PATH_ESCAPE` on a loop.
 * `path` is relative to `root`, which is the whole tree or, for an archive that is unpacked, its destination.
 */
export function resolveInRoot(view: RootView, path: string, root = '/'): ResolvedPath {
  const todo = path.split('/').filter((part) => part !== '' && part !== '.');
  let at = root;
  let entry: RootEntry | undefined = view.lstat(root);
  let links = 0;
  while (todo.length > 0) {
    const part = todo.shift() ?? '';
    if (part === '..') {
      at = at === root ? root : posix.dirname(at);
      entry = view.lstat(at);
      continue;
    }
    const next = posix.join(at, part);
    const found = view.lstat(next);
    if (found?.type !== 'symlink') {
      at = next;
      entry = found;
      continue;
    }
    if (++links > MAX_LINKS) {
      throw new BuildError('E_PATH_ESCAPE', `Cannot resolve "${path}" in the image: too many symbolic links`, {
        hint: `Look at the link "${next}", which leads back to itself`,
      });
    }
    if (found.linkname.startsWith('/')) at = root;
    todo.unshift(...found.linkname.split('/').filter((p) => p !== '' && p !== '.'));
  }
  return { path: at, entry };
}

/** A small regular file of the image, links followed inside the root; undefined where there is none. */
export async function readFileInRoot(view: RootView, path: string, limitBytes: number): Promise<string | undefined> {
  const { path: real, entry } = resolveInRoot(view, path);
  if (entry?.type !== 'file') return undefined;
  const bytes = await view.readFile(real, limitBytes);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
}
