import { posix } from 'node:path';
import { BuildError } from '../errors.ts';

/** Linux follows at most 40 links in one look-up (path_resolution(7)). */
const MAX_LINKS = 40;

export interface LinkTree {
  /** What to call the tree in an error: `the image`, `the context "."`. */
  readonly description: string;
  /** The target of the symbolic link at an absolute, clean path; undefined: no link, or nothing there. */
  readLink(path: string): string | undefined;
}

const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');

/**
 * Follows the symbolic links in `path` as chroot(`root`) would: absolute targets start at `root`, `..` stops there.
 * Returns an absolute, clean path of which no component is a link; components that do not exist are kept as they are.
 * Throws `E_PATH_ESCAPE` on a loop.
 */
export function followLinks(tree: LinkTree, path: string, root = '/'): string {
  const todo = partsOf(path);
  let at = root;
  let links = 0;
  for (let part = todo.shift(); part !== undefined; part = todo.shift()) {
    if (part === '..') {
      at = at === root ? root : posix.dirname(at);
      continue;
    }
    const next = posix.join(at, part);
    const target = tree.readLink(next);
    if (target === undefined) {
      at = next;
      continue;
    }
    if (++links > MAX_LINKS) {
      throw new BuildError(
        'E_PATH_ESCAPE',
        `Cannot resolve "${path}" in ${tree.description}: too many symbolic links`,
        {
          hint: `Look at the link "${next}", which leads back to itself`,
        },
      );
    }
    if (target.startsWith('/')) at = root;
    todo.unshift(...partsOf(target));
  }
  return at;
}
