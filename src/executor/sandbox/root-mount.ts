import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { BuildError } from '../../errors.ts';
import type { Mount } from '../../layers/index.ts';
import { chdir, detach, MS, mount, setReadOnly } from './syscalls.ts';

export interface RootMountOptions {
  /** An existing directory. */
  readonly target: string;
  /** A directory for links; made. */
  readonly links: string;
}

/** OVL_MAX_STACK of fs/overlayfs/params.h. */
const MAX_LOWER = 500;

/**
 * Mounts a root. The layers are named by short relative links, so that 500 of them fit into the one page that mount(2)
 * takes, and no path needs escaping. Of more, the lowest 500 become one: an overlay may lie on another one (`E_UNSUPPORTED` above 999).
 * Changes the working directory of the calling thread.
 * `userxattr` turns redirect_dir off by itself and refuses to be told so. Options: Documentation/filesystems/overlayfs.rst of the kernel.
 */
export function mountRoot(root: Mount, { target, links }: RootMountOptions): void {
  if (root.type === 'bind') {
    mount({ source: root.source, target, flags: MS.bind | MS.recursive });
    if (root.readOnly) setReadOnly(target);
    return;
  }
  const { lower: directories = [] } = root;
  if (directories.length >= 2 * MAX_LOWER) throw tooMany(directories.length);
  mkdirSync(links);
  const all = directories.map((directory, index) => link(directory, `${links}/${index}`, String(index)));
  chdir(links);
  const isDeep = all.length > MAX_LOWER;
  const lower = isDeep ? [...all.slice(0, MAX_LOWER - 1), mountLowest(all.slice(MAX_LOWER - 1))] : all;
  const options = [`lowerdir=${lower.join(':')}`, 'userxattr'];
  if (root.upper !== undefined && root.work !== undefined) {
    options.push(`upperdir=${link(root.upper, `${links}/u`, 'u')}`, `workdir=${link(root.work, `${links}/w`, 'w')}`);
    // what a step leaves is synced before the build is reported: each unmount would sync all of the file system
    options.push('index=off', 'metacopy=off', 'volatile');
    rmSync(`${root.work}/work/incompat`, { recursive: true, force: true }); // a mount before, of the same step
  }
  mount({
    source: 'overlay',
    target,
    type: 'overlay',
    flags: root.readOnly ? MS.readOnly : 0,
    data: options.join(','),
  });
  // the mount above keeps it
  if (isDeep) detach(LOWEST);
}

const tooMany = (count: number): BuildError =>
  new BuildError('E_UNSUPPORTED', `Cannot stack ${count} layers: the kernel takes ${2 * MAX_LOWER - 1}`, {
    hint: 'Build the base image with --squash, or join instructions',
  });

const LOWEST = 'lowest';

/** Only what has nothing below itself: deletions inside of it do not show through. In the working directory. */
function mountLowest(lower: readonly string[]): string {
  mkdirSync(LOWEST);
  const data = `lowerdir=${lower.join(':')},userxattr`;
  mount({ source: 'overlay', target: LOWEST, type: 'overlay', flags: MS.readOnly, data });
  return LOWEST;
}

function link(directory: string, path: string, name: string): string {
  symlinkSync(directory, path);
  return name;
}
