import { closeSync, constants, copyFileSync, mkdirSync, openSync, symlinkSync } from 'node:fs';
import { setOpenAttributes, setPathAttributes, type Writing } from './attributes.ts';
import type { Owners } from './ownership.ts';
import type { RootEntry } from './root-view.ts';
import { mknod } from './syscalls.ts';

const { COPYFILE_EXCL, COPYFILE_FICLONE, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
const S_IFMT = { char: 0o020000, block: 0o060000, fifo: 0o010000 } as const;
// An attribute that was read from this filesystem can be written to it.
const writing = (owners: Owners): Writing => ({ owners, onSkipped: () => undefined });

/**
 * Makes what `entry` describes at `target`, where nothing is; a file's bytes come from `source`, shared where the filesystem can.
 * A directory's attributes are set by `finishDirectory`, once it is filled. Both paths must lie in directories of our own.
 */
export function copyNode(source: string, target: string, entry: RootEntry, owners: Owners): void {
  switch (entry.type) {
    case 'file':
      copyFileSync(source, target, COPYFILE_EXCL | COPYFILE_FICLONE);
      withOpen(target, O_RDONLY | O_NOFOLLOW, (fd) => setOpenAttributes(fd, target, entry, writing(owners)));
      return;
    case 'directory':
      mkdirSync(target, 0o700);
      return;
    case 'symlink':
      symlinkSync(entry.linkname, target);
      setPathAttributes(target, entry, writing(owners));
      return;
    case 'char':
    case 'block':
    case 'fifo': {
      const device = entry.type === 'fifo' ? { major: 0, minor: 0 } : { major: entry.devMajor, minor: entry.devMinor };
      mknod(target, S_IFMT[entry.type] | 0o600, device);
      setPathAttributes(target, entry, writing(owners));
      return;
    }
    default:
      entry satisfies never;
  }
}

export function finishDirectory(directory: string, entry: RootEntry, owners: Owners): void {
  withOpen(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, (fd) =>
    setOpenAttributes(fd, directory, entry, writing(owners)),
  );
}

function withOpen(path: string, flags: number, use: (fd: number) => void): void {
  const fd = openSync(path, flags);
  try {
    use(fd);
  } finally {
    closeSync(fd);
  }
}
