import { chmodSync, fchmodSync, fchownSync, fstatSync, futimesSync, lchownSync, lutimesSync } from 'node:fs';
import { systemErrorCode } from '../errors.ts';
import type { FileStatus } from './fresh-status.ts';
import {
  type FileOwnerIds,
  isOwnerNote,
  OWNER_XATTR,
  type Owners,
  recordedOwner,
  recordOwner,
  withoutRootId,
} from './ownership.ts';
import { lgetxattr, llistxattr, lsetxattr } from './syscalls.ts';
import type { TarEntry } from './tar/entry.ts';
import { isOverlayXattr } from './whiteout.ts';

/**
 * The attributes that are part of a layer: capabilities and what users set themselves. SELinux labels, integrity hashes, ACLs
 * inherited from the host's directories and `trusted` ones belong to the machine: two machines would give two images.
 */
export const isLayerXattr = (name: string): boolean =>
  name === 'security.capability' || (name.startsWith('user.') && !isOverlayXattr(name) && name !== OWNER_XATTR);

const NONE: ReadonlyMap<string, Uint8Array> = new Map();

/** A file's attributes that belong into a layer; empty for most files. */
export function readXattrs(path: string): ReadonlyMap<string, Uint8Array> {
  return layerXattrs(path, llistxattr(path));
}

function layerXattrs(path: string, names: readonly string[]): ReadonlyMap<string, Uint8Array> {
  if (names.length === 0) return NONE;
  const found = new Map<string, Uint8Array>();
  for (const name of names) {
    const value = isLayerXattr(name) ? lgetxattr(path, name) : undefined;
    if (value && !isOwnerNote(name, value)) found.set(name, value);
  }
  return found;
}

export interface OwnFacts extends FileOwnerIds {
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

/** Owner and attributes of a file, in one look. */
export function readOwnFacts(path: string, { uid, gid }: FileOwnerIds, owners: Owners): OwnFacts {
  const names = llistxattr(path);
  const xattrs = layerXattrs(path, names);
  if (owners === 'real') return { uid, gid, xattrs };
  const owner = recordedOwner(names, (name) => lgetxattr(path, name)) ?? { uid: 0, gid: 0 };
  const capability = xattrs.get('security.capability');
  if (!capability) return { ...owner, xattrs };
  return { ...owner, xattrs: new Map([...xattrs, ['security.capability', withoutRootId(capability)]]) };
}

/** Node takes a negative number for "now"; a Date keeps it. */
const timeOf = (seconds: number): number | Date => (seconds < 0 ? new Date(seconds * 1000) : seconds);

export type Attributes = Pick<TarEntry, 'mode' | 'uid' | 'gid' | 'mtime' | 'xattrs'>;

/** Tells of an attribute that could not be set here. */
export type OnSkippedXattr = (name: string, reason: string) => void;

export interface Writing {
  readonly owners: Owners;
  readonly onSkipped: OnSkippedXattr;
  /** What is known of the open file as it is; absent: it is asked. */
  readonly statusOf?: ((fd: number) => FileStatus) | undefined;
}

/** Owner before mode (chown clears setuid), mode before attributes (chown clears capabilities), time last. `path` names the same file as `fd`. */
export function setOpenAttributes(
  fd: number,
  path: string,
  attributes: Attributes,
  { owners, onSkipped, statusOf = fstatSync }: Writing,
): void {
  // Each change is a journal entry of the file system: asking first is cheaper, and most are right already.
  const { uid, gid, mode } = statusOf(fd);
  const isOwned = owners === 'recorded' || (uid === attributes.uid && gid === attributes.gid);
  if (!isOwned) fchownSync(fd, attributes.uid, attributes.gid);
  if (!isOwned || (mode & 0o7777) !== attributes.mode) fchmodSync(fd, attributes.mode);
  if (owners === 'recorded') recordOwner(path, attributes, { mode: (mode & ~0o7777) | attributes.mode });
  setXattrs(path, attributes.xattrs, onSkipped);
  setOpenTime(fd, attributes.mtime);
}

export function setOpenTime(fd: number, mtime: number): void {
  const time = timeOf(mtime);
  futimesSync(fd, time, time);
}

/** Sets both times of whatever is there, a symlink itself. */
export function setPathTime(path: string, mtime: number): void {
  const time = timeOf(mtime);
  lutimesSync(path, time, time);
}

/** For what cannot be opened: symlinks, devices, fifos. The file must be one that we just made. */
export function setPathAttributes(path: string, entry: TarEntry, { owners, onSkipped }: Writing): void {
  if (owners === 'real') lchownSync(path, entry.uid, entry.gid);
  else recordOwner(path, entry);
  if (entry.type !== 'symlink') chmodSync(path, entry.mode);
  setXattrs(path, entry.xattrs, onSkipped);
  setPathTime(path, entry.mtime);
}

function setXattrs(path: string, xattrs: TarEntry['xattrs'], onSkipped: OnSkippedXattr): void {
  for (const [name, value] of xattrs ?? NONE) {
    if (!isLayerXattr(name)) onSkipped(name, 'it belongs to a machine, not to an image');
    else setXattr(path, [name, value], onSkipped);
  }
}

function setXattr(path: string, [name, value]: readonly [string, Uint8Array], onSkipped: OnSkippedXattr): void {
  try {
    lsetxattr(path, name, value);
  } catch (error) {
    const code = systemErrorCode(error);
    // Some filesystems have no attributes at all; `user` ones exist on files and directories only (xattr(7)).
    if (code !== 'ENOTSUP' && !(code === 'EPERM' && name.startsWith('user.'))) throw error;
    onSkipped(name, code);
  }
}
