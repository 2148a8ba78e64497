import { mkdirSync, rmSync } from 'node:fs';
import { BuildError } from '../../errors.ts';
import { type Mount, newOwnedName } from '../../layers/index.ts';
import { mountRoot } from './root-mount.ts';
import { detach, keepingDirectory, mount } from './syscalls.ts';

export interface MountedView {
  /** The root as a directory of this process. */
  readonly path: string;
  dispose(): void;
}

/**
 * Makes a root readable in this process, which must be inside `enterNamespace`: only its mount namespace sees it. A single
 * layer or a bind is its directory itself. `parent`: the directory of what is in use, for the mount point; nothing is left in it.
 * Throws `E_NO_OVERLAY`.
 */
export function mountView(root: Mount, parent: string): MountedView {
  const direct = lookupDirectory(root);
  if (direct !== undefined) return { path: direct, dispose: () => {} };
  const base = `${parent}/${newOwnedName()}`;
  mkdirSync(base, { mode: 0o700 });
  const dispose = () => {
    detach(base);
    rmSync(base, { recursive: true });
  };
  try {
    // The links live in a tmpfs of their own, which goes with one call.
    mount({ source: 'tmpfs', target: base, type: 'tmpfs', data: 'mode=755' });
  } catch (cause) {
    rmSync(base, { recursive: true });
    throw new BuildError('E_MOUNT_DENIED', 'Cannot mount in the namespace', { cause });
  }
  try {
    const path = `${base}/root`;
    mkdirSync(path);
    keepingDirectory(() => mountRoot({ ...root, readOnly: true }, { target: path, links: `${base}/lower` }));
    return { path, dispose };
  } catch (cause) {
    dispose();
    throw new BuildError('E_NO_OVERLAY', 'Cannot mount the layers over each other', {
      hint: 'Keep the state directory on another filesystem with --root (ext4, xfs, btrfs or tmpfs)',
      cause,
    });
  }
}

/** Overlay needs two directories at least. */
function lookupDirectory({ type, source, lower = [], upper }: Mount): string | undefined {
  if (type === 'bind') return source;
  return upper === undefined && lower.length === 1 ? lower[0] : undefined;
}
