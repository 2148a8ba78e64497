import type { RootEntry, RootView } from '../layers/index.ts';
import { followLinks } from './follow-links.ts';

export interface ResolvedPath {
  /** Absolute and clean; no component that exists is a symbolic link. */
  readonly path: string;
  /** undefined: nothing there. */
  readonly entry: RootEntry | undefined;
}

/**
 * Follows symbolic links inside the root (see `followLinks`). `path` is relative to `root`, which is the whole tree or,
 * for an archive that is unpacked, its destination. Throws `E_PATH_ESCAPE` on a loop.
 */
export function resolveInRoot(view: RootView, path: string, root = '/'): ResolvedPath {
  const readLink = (at: string): string | undefined => {
    const entry = view.lstat(at);
    return entry?.type === 'symlink' ? entry.linkname : undefined;
  };
  const resolved = followLinks({ description: 'the image', readLink }, path, root);
  return { path: resolved, entry: view.lstat(resolved) };
}

/** A small regular file of the image, links followed inside the root; undefined where there is none. */
export async function readFileInRoot(view: RootView, path: string, limitBytes: number): Promise<string | undefined> {
  const { path: real, entry } = resolveInRoot(view, path);
  if (entry?.type !== 'file') return undefined;
  const bytes = await view.readFile(real, limitBytes);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
}
