import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { BuildError, systemErrorCode } from '../errors.ts';
import type { FileFacts } from './file-facts.ts';
import { lgetxattr, llistxattr, lremovexattr, lsetxattr, mknod } from './syscalls.ts';

/**
 * Deletions, in the two forms that they have; no other file knows either.
 * In a tar (OCI image-spec layer.md "Whiteouts"): an empty file `.wh.NAME` hides NAME of the layers below, `.wh..wh..opq` hides all
 * that they have in its directory. In a directory (linux Documentation/filesystems/overlayfs.rst): a character device 0:0, or an empty
 * file with the attribute `overlay.whiteout`; and the attribute `overlay.opaque` = "y" on a directory. The attributes are in
 * the user namespace (mount option `userxattr`); those that root's Docker leaves in `trusted` are read too.
 */
const PREFIX = '.wh.';
const OPAQUE_MARKER = '.wh..wh..opq';
/** Other names that start like this are AUFS's bookkeeping (`.wh..wh.plnk`), which appliers ignore. */
const AUFS_PREFIX = '.wh..wh.';

const OVERLAY_XATTR = /^(?:user|trusted)\.overlay\./;
const WHITEOUT_XATTR = 'user.overlay.whiteout';
const OPAQUE_XATTR = 'user.overlay.opaque';
const Y = Buffer.from('y');
const S_IFCHR = 0o020000;

export type TarMarker =
  | { readonly kind: 'whiteout'; readonly name: string }
  | { readonly kind: 'opaque' }
  /** Not part of the filesystem. */
  | { readonly kind: 'ignored' };

/** What a name in a tar means; undefined: an ordinary name. Throws `E_BAD_LAYER` for a whiteout of nothing, `.` or `..`. */
export function parseMarker(name: string): TarMarker | undefined {
  if (!name.startsWith(PREFIX)) return undefined;
  if (name === OPAQUE_MARKER) return { kind: 'opaque' };
  if (name.startsWith(AUFS_PREFIX)) return { kind: 'ignored' };
  const hidden = name.slice(PREFIX.length);
  if (hidden === '' || hidden === '.' || hidden === '..') {
    throw new BuildError('E_BAD_LAYER', `Cannot apply the layer: "${name}" is a whiteout of no name`, {
      hint: 'The layer is damaged or hostile; get the image from elsewhere',
    });
  }
  return { kind: 'whiteout', name: hidden };
}

/** The tar's name for the deletion of `name`. */
export const whiteoutName = (name: string): string => `${PREFIX}${name}`;
export const opaqueName = (): string => OPAQUE_MARKER;

/** A file that is really called so would be a deletion in the tar: refused, never written. */
export function refuseLiteralMarker(path: string, name: string): void {
  if (!name.startsWith(PREFIX)) return;
  throw new BuildError(
    'E_BAD_LAYER',
    `Cannot put "/${path}" into a layer: names that start with "${PREFIX}" mean deletions there`,
    {
      hint: `Remove or rename "/${path}" in the step that makes it`,
    },
  );
}

/** Whether a layer directory says here that the name is deleted. */
export function isWhiteout(path: string, stats: FileFacts): boolean {
  if (stats.isCharacterDevice()) return stats.rdev === 0;
  if (!stats.isFile() || stats.size !== 0) return false;
  return overlayNote(path, 'whiteout') !== undefined;
}

/** Whether a directory of a layer hides what lies below it. (The value "x" only says that it has whiteouts in attribute form.) */
export function isOpaque(directory: string): boolean {
  const value = overlayNote(directory, 'opaque');
  return value !== undefined && Y.equals(value);
}

/** Most files have no attributes at all: one look tells. */
function overlayNote(path: string, kind: 'whiteout' | 'opaque'): Uint8Array | undefined {
  const names = llistxattr(path);
  const name = [`user.overlay.${kind}`, `trusted.overlay.${kind}`].find((wanted) => names.includes(wanted));
  return name === undefined ? undefined : lgetxattr(path, name);
}

/** Overlay refuses the device on itself (a container's own root): there it is the empty file. */
export function makeWhiteout(path: string): void {
  try {
    mknod(path, S_IFCHR, { major: 0, minor: 0 });
  } catch (error) {
    if (systemErrorCode(error) !== 'EPERM') throw error;
    writeFileSync(path, '', { flag: 'wx', mode: 0 });
    lsetxattr(path, WHITEOUT_XATTR, Y);
    // says that the directory has such files, for whoever mounts the layer as overlay (Linux 6.7)
    const parent = dirname(path);
    if (!isOpaque(parent)) lsetxattr(parent, OPAQUE_XATTR, Buffer.from('x'));
  }
}
export const makeOpaque = (directory: string): void => lsetxattr(directory, OPAQUE_XATTR, Y);
export const clearOpaque = (directory: string): void => lremovexattr(directory, OPAQUE_XATTR);

/** Attributes that are overlay's own notes, never a layer's content. */
export const isOverlayXattr = (name: string): boolean => OVERLAY_XATTR.test(name);

/** A new directory that hides whatever a layer below has under its name. */
export function makeOpaqueDirectory(path: string): void {
  mkdirSync(path, 0o700);
  makeOpaque(path);
}
