import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import type { Mount } from '../../layers/index.ts';
import { chdir, MS, mount, setReadOnly } from './syscalls.ts';

export interface RootMountOptions {
  /** An existing directory. */
  readonly target: string;
  /** A directory for links; made. */
  readonly links: string;
}

/**
 * Mounts a root. The layers are named by short relative links, so that 500 of them (OVL_MAX_STACK) fit into the one page
 * that mount(2) takes, and no path needs escaping. Changes the working directory of the calling thread.
 * `userxattr` turns redirect_dir off by itself and refuses to be told so. Options: Documentation/filesystems/overlayfs.rst of the kernel.
 */
export function mountRoot(root: Mount, { target, links }: RootMountOptions): void {
  if (root.type === 'bind') {
    mount({ source: root.source, target, flags: MS.bind | MS.recursive });
    if (root.readOnly) setReadOnly(target);
    return;
  }
  mkdirSync(links);
  const lower = (root.lower ?? []).map((directory, index) => link(directory, `${links}/${index}`, String(index)));
  const options = [`lowerdir=${lower.join(':')}`, 'userxattr'];
  if (root.upper !== undefined && root.work !== undefined) {
    options.push(`upperdir=${link(root.upper, `${links}/u`, 'u')}`, `workdir=${link(root.work, `${links}/w`, 'w')}`);
    // what a step leaves is synced before the build is reported: each unmount would sync all of the file system
    options.push('index=off', 'metacopy=off', 'volatile');
    rmSync(`${root.work}/work/incompat`, { recursive: true, force: true }); // a mount before, of the same step
  }
  chdir(links);
  mount({
    source: 'overlay',
    target,
    type: 'overlay',
    flags: root.readOnly ? MS.readOnly : 0,
    data: options.join(','),
  });
}

function link(directory: string, path: string, name: string): string {
  symlinkSync(directory, path);
  return name;
}
