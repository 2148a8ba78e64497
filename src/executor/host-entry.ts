import { BuildError } from '../errors.ts';
import type { ModeChange } from '../graph/index.ts';
import { readXattrs, type TarEntry } from '../layers/index.ts';
import type { FileStat } from './file-stat.ts';
import { placeIn } from './source-cursor.ts';
import { type PlacedFile, readSourceLink, type SourceRoot } from './source-root.ts';
import type { SourceEntry } from './source-walk.ts';
import type { Owner } from './users.ts';

export interface EntryChanges {
  /** --chown; absent: root for a context, the file's own for a stage or image. */
  readonly owner: Owner | undefined;
  /** --chmod; links have no mode of their own. */
  readonly chmod: ModeChange | undefined;
}

type Xattrs = ReadonlyMap<string, Uint8Array>;

/**
 * A file, directory, link, ... of a source root as a member of a layer; `target` is its absolute path in the image, `xattrs` what is
 * known of its attributes.
 */
export function hostEntry(
  root: SourceRoot,
  { path, stat }: SourceEntry,
  { target, owner, chmod, xattrs: known }: EntryChanges & { readonly target: string; readonly xattrs?: Xattrs },
): TarEntry {
  const isDirectory = stat.isDirectory();
  const mode = stat.mode & 0o7777;
  const own = root.keepsOwners ? { uid: stat.uid, gid: stat.gid } : { uid: 0, gid: 0 };
  const { xattrsOf = xattrsAt } = root;
  const xattrs = known ?? xattrsOf({ root, path }, stat);
  const common = {
    path: target.slice(1),
    mode: stat.isSymbolicLink() ? mode : (chmod?.(mode, isDirectory) ?? mode),
    ...(owner ?? own),
    mtime: stat.mtime,
    ...(xattrs.size > 0 ? { xattrs } : {}),
  };
  if (isDirectory) return { type: 'directory', ...common };
  if (stat.isSymbolicLink()) return { type: 'symlink', ...common, linkname: readSourceLink(root, path) };
  if (stat.isFIFO()) return { type: 'fifo', ...common };
  if (stat.isFile()) return { type: 'file', ...common, size: stat.size };
  if (stat.isBlockDevice() || (stat.isCharacterDevice() && stat.rdev !== 0)) {
    return { type: stat.isBlockDevice() ? 'block' : 'char', ...common, ...deviceNumbers(stat.rdev) };
  }
  throw new BuildError(
    'E_CONTEXT',
    `Cannot copy "${path}" in ${root.description}: a layer cannot hold a ${kindOf(stat)}`,
    {
      hint: 'Name another source, or name it in .containerignore',
    },
  );
}

const xattrsAt = ({ root, path }: PlacedFile) => readXattrs(placeIn(root, path));

/** A character device 0:0 is how overlay says "deleted" (linux Documentation/filesystems/overlayfs.rst). */
const kindOf = (stat: FileStat): string => (stat.isSocket() ? 'socket' : 'whiteout device');

/** Linux' 64-bit dev_t (sysmacros.h, gnu_dev_major and gnu_dev_minor); Node gives what fits in 32 bits. */
function deviceNumbers(rdev: number): { devMajor: number; devMinor: number } {
  return { devMajor: (rdev >>> 8) & 0xfff, devMinor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) };
}
