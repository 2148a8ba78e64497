import { chownSync, lstatSync, type Stats, statSync } from 'node:fs';
import { BuildError, systemErrorCode } from '../errors.ts';
import { lgetxattr, llistxattr, lremovexattr, lsetxattr } from './syscalls.ts';

/**
 * How files of layer directories say to whom they belong.
 * `real`: by their owner. `recorded`: this user has one id only, so all of them are that user's; other owners than 0:0 are
 * written beside each file in an extended attribute, which follows it through renames, links and overlay's copies.
 */
export type Owners = 'real' | 'recorded';

export interface FileOwnerIds {
  readonly uid: number;
  readonly gid: number;
}

const ROOT: FileOwnerIds = { uid: 0, gid: 0 };

/** Of regular files and directories, in the form of containers/storage: `uid:gid:mode:type`. */
export const OWNER_XATTR = 'user.containers.override_stat';

/**
 * Of symbolic links, fifos and sockets, which can have no `user` attribute (xattr(7)). A capability set means nothing on them,
 * but root of a user namespace may set one (capabilities(7)): its words carry the owner.
 */
const CARRIER_XATTR = 'security.capability';
/** struct vfs_cap_data: magic, then permitted and inheritable, low words before high ones. */
const REVISION_2 = 0x02000000;
const REVISION_3 = 0x03000000;
const REVISION_MASK = 0xff000000;
const CARRIER_BYTES = 20;
/** No capability set has it: bits far above the last capability. */
const CARRIER_MARK = 0x74736264;

export type RecordType = 'file' | 'dir';

export interface OwnerRecord extends FileOwnerIds {
  /** Permission bits. */
  readonly mode: number;
  readonly type: RecordType;
}

export const encodeOwnerRecord = ({ uid, gid, mode, type }: OwnerRecord): string =>
  `${uid}:${gid}:${(mode & 0o7777).toString(8).padStart(4, '0')}:${type}`;

/** undefined: not such a record. The mode and the type are those of the file itself. */
export function parseOwnerRecord(text: string): FileOwnerIds | undefined {
  const [, uid, gid] = /^(\d{1,10}):(\d{1,10}):[0-7]+(?::[a-z0-9-]+)?$/.exec(text) ?? [];
  if (uid === undefined || gid === undefined) return undefined;
  return isId(Number(uid)) && isId(Number(gid)) ? { uid: Number(uid), gid: Number(gid) } : undefined;
}

/** The largest means "unchanged" (chown(2)). */
const isId = (id: number): boolean => id < 0xffffffff;

export function encodeOwnerCarrier({ uid, gid }: FileOwnerIds): Uint8Array {
  const bytes = Buffer.alloc(CARRIER_BYTES);
  [REVISION_2, uid, gid, CARRIER_MARK, 0].forEach((word, index) => {
    bytes.writeUInt32LE(word, index * 4);
  });
  return bytes;
}

/** Takes the form that a process outside of the namespace sees, too: with the id of the namespace's root behind it. */
export function parseOwnerCarrier(value: Uint8Array): FileOwnerIds | undefined {
  const bytes = Buffer.from(value);
  if (bytes.length < CARRIER_BYTES || bytes.readUInt32LE(12) !== CARRIER_MARK) return undefined;
  return { uid: bytes.readUInt32LE(4), gid: bytes.readUInt32LE(8) };
}

/** Whether an attribute is a note about the owner and no content of a layer. */
export const isOwnerNote = (name: string, value: Uint8Array): boolean =>
  name === OWNER_XATTR || (name === CARRIER_XATTR && parseOwnerCarrier(value) !== undefined);

/** The owner that a file's attributes record. `read` gives an attribute that the file has. */
export function recordedOwner(
  names: readonly string[],
  read: (name: string) => Uint8Array | undefined,
): FileOwnerIds | undefined {
  const record = names.includes(OWNER_XATTR) ? read(OWNER_XATTR) : undefined;
  if (record) return parseOwnerRecord(Buffer.from(record).toString('latin1'));
  const carrier = names.includes(CARRIER_XATTR) ? read(CARRIER_XATTR) : undefined;
  return carrier && parseOwnerCarrier(carrier);
}

/** To whom a file belongs. */
export function ownerOf(path: string, stats: FileOwnerIds, owners: Owners): FileOwnerIds {
  if (owners === 'real') return { uid: stats.uid, gid: stats.gid };
  return recordedOwner(llistxattr(path), (name) => lgetxattr(path, name)) ?? ROOT;
}

/**
 * Records an owner; a link at the end of the path is not followed. Throws `E_OWNER_NOT_RECORDED`
 * where the filesystem has no attributes.
 */
export function recordOwner(path: string, owner: FileOwnerIds, stats: Pick<Stats, 'mode'> = lstatSync(path)): void {
  const type = recordTypeOf(stats.mode);
  const name = type === undefined ? CARRIER_XATTR : OWNER_XATTR;
  if (owner.uid === 0 && owner.gid === 0) {
    if (llistxattr(path).includes(name)) lremovexattr(path, name);
    return;
  }
  const record = type && encodeOwnerRecord({ ...owner, mode: stats.mode, type });
  try {
    lsetxattr(path, name, record === undefined ? encodeOwnerCarrier(owner) : Buffer.from(record));
  } catch (cause) {
    const code = systemErrorCode(cause);
    if (code !== 'ENOTSUP' && code !== 'EPERM' && code !== 'ENOSPC') throw cause;
    throw notRecorded(path, owner, cause);
  }
}

/** Gives a file to somebody, followed at its end as chown(2) does. */
export function giveTo(path: string, owner: FileOwnerIds, owners: Owners): void {
  if (owners === 'real') {
    chownSync(path, owner.uid, owner.gid);
    return;
  }
  const stats = statSync(path);
  recordOwner(stats.isDirectory() ? `${path}/.` : path, owner, stats);
}

const S_IFMT = 0o170000;

function recordTypeOf(mode: number): RecordType | undefined {
  if ((mode & S_IFMT) === 0o100000) return 'file';
  return (mode & S_IFMT) === 0o040000 ? 'dir' : undefined;
}

const notRecorded = (path: string, { uid, gid }: FileOwnerIds, cause: unknown): BuildError =>
  new BuildError(
    'E_OWNER_NOT_RECORDED',
    `Cannot record that "${path}" belongs to ${uid}:${gid}: its filesystem takes no such attribute`,
    {
      hint: 'Keep the state directory on ext4, xfs, btrfs or tmpfs with --root; or have real ids: install uidmap and add a range to /etc/subuid and /etc/subgid',
      fields: { path, id: uid },
      cause,
    },
  );

/** Capabilities of a file as root of the namespace sees them: without the id of that root. */
export function withoutRootId(value: Uint8Array): Uint8Array {
  const bytes = Buffer.from(value);
  if (bytes.length < CARRIER_BYTES || (bytes.readUInt32LE(0) & REVISION_MASK) >>> 0 !== REVISION_3) return value;
  const plain = Buffer.from(bytes.subarray(0, CARRIER_BYTES));
  plain.writeUInt32LE(((bytes.readUInt32LE(0) & ~REVISION_MASK) | REVISION_2) >>> 0, 0);
  return plain;
}
