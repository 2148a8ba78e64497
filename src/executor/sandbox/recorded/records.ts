import {
  encodeOwnerCarrier,
  encodeOwnerRecord,
  type FileOwnerIds,
  isOwnerNote,
  OWNER_XATTR,
  parseOwnerCarrier,
  parseOwnerRecord,
} from '../../../layers/index.ts';
import { AT, ENODATA, EOPNOTSUPP, EPERM, Errno, type Kernel } from './raw.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, type Located } from './target.ts';

const CAPABILITY = 'security.capability';
const LIST_BYTES = 65536;
const VALUE_BYTES = 256;
/** struct statx of linux/stat.h */
const STATX = { uid: 20, gid: 24, mode: 28, inode: 32, major: 136, minor: 140, bytes: 256 } as const;
const STATX_BASIC = 0x7ff;
const S_IFMT = 0o170000;
const ROOT: FileOwnerIds = { uid: 0, gid: 0 };

export interface FileFacts extends FileOwnerIds {
  /** With the type. */
  readonly mode: number;
}

/** The owners that files of a step record; see `ownership.ts` of the layers for how. */
export class Records {
  readonly #kernel: Kernel;
  /** Files of filesystems without attributes (none of them is in a layer), by device and inode. */
  readonly #volatile = new Map<string, FileOwnerIds>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** undefined: nothing is recorded, so the file is root's. A file that is not there records nothing. */
  lookup(file: Located): FileOwnerIds | undefined {
    const names = this.#list(file);
    if (names.length > 0) {
      const record = names.includes(OWNER_XATTR) ? this.#get(file, OWNER_XATTR) : undefined;
      if (record) return parseOwnerRecord(record.toString('latin1'));
      const carrier = names.includes(CAPABILITY) ? this.#get(file, CAPABILITY) : undefined;
      const owner = carrier && parseOwnerCarrier(carrier);
      if (owner) return owner;
    }
    if (this.#volatile.size === 0) return undefined;
    const key = this.#statx(file) < 0 ? undefined : this.#key();
    return key === undefined ? undefined : this.#volatile.get(key);
  }

  /** Throws `Errno`. */
  facts(file: Located): FileFacts {
    const result = this.#statx(file);
    if (result < 0) throw new Errno(-result);
    const mode = this.#kernel.bytes.readUInt16LE(AT.stat + STATX.mode);
    return { ...(this.lookup(file) ?? ROOT), mode };
  }

  /** Throws `Errno`. */
  set(file: Located, owner: FileOwnerIds): void {
    const result = this.#statx(file);
    if (result < 0) throw new Errno(-result);
    const mode = this.#kernel.bytes.readUInt16LE(AT.stat + STATX.mode);
    const key = this.#key();
    const type = typeOf(mode);
    const name = type === undefined ? CAPABILITY : OWNER_XATTR;
    if (owner.uid === 0 && owner.gid === 0) {
      this.#volatile.delete(key);
      if (this.#list(file).includes(name)) this.#remove(file, name);
      return;
    }
    const value = type ? Buffer.from(encodeOwnerRecord({ ...owner, mode, type })) : encodeOwnerCarrier(owner);
    const failure = this.#write(file, name, value);
    if (failure === EOPNOTSUPP || (failure === EPERM && type === undefined)) this.#volatile.set(key, owner);
    else if (failure !== 0) throw new Errno(failure);
  }

  /** The names that the step may see, each with its NUL; undefined: all of them. */
  visibleNames(file: Located): Buffer | undefined {
    const names = this.#list(file);
    const shown = names.filter((name) => {
      if (name === OWNER_XATTR) return false;
      return name !== CAPABILITY || !isOwnerNote(name, this.#get(file, name) ?? Buffer.alloc(0));
    });
    if (shown.length === names.length) return undefined;
    return Buffer.from(shown.map((name) => `${name}\0`).join(''), 'latin1');
  }

  #list({ path, follow }: Located): readonly string[] {
    const at = this.#kernel.path(path);
    const data = this.#kernel.address(AT.data);
    const length = this.#kernel.try(follow ? 'listxattr' : 'llistxattr', at, data, LIST_BYTES);
    if (length <= 0) return [];
    return this.#kernel.bytes.toString('latin1', AT.data, AT.data + length - 1).split('\0');
  }

  #get({ path, follow }: Located, name: string): Buffer | undefined {
    const at = this.#kernel.path(path);
    const key = this.#kernel.path(Buffer.from(name), AT.otherPath);
    const data = this.#kernel.address(AT.data);
    const length = this.#kernel.try(follow ? 'getxattr' : 'lgetxattr', at, key, data, VALUE_BYTES);
    return length < 0 ? undefined : Buffer.from(this.#kernel.bytes.subarray(AT.data, AT.data + length));
  }

  /** The errno, or 0. */
  #write({ path, follow }: Located, name: string, value: Uint8Array): number {
    const at = this.#kernel.path(path);
    const key = this.#kernel.path(Buffer.from(name), AT.otherPath);
    this.#kernel.bytes.set(value, AT.data);
    const data = this.#kernel.address(AT.data);
    return -this.#kernel.try(follow ? 'setxattr' : 'lsetxattr', at, key, data, value.byteLength, 0);
  }

  #remove({ path, follow }: Located, name: string): void {
    const at = this.#kernel.path(path);
    const key = this.#kernel.path(Buffer.from(name), AT.otherPath);
    const result = this.#kernel.try(follow ? 'removexattr' : 'lremovexattr', at, key);
    if (result < 0 && result !== -ENODATA) throw new Errno(-result);
  }

  #statx({ path, follow }: Located): number {
    const { bytes } = this.#kernel;
    bytes.fill(0, AT.stat, AT.stat + STATX.bytes);
    const flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
    const at = this.#kernel.path(path);
    return this.#kernel.try('statx', AT_FDCWD, at, flags, STATX_BASIC, this.#kernel.address(AT.stat));
  }

  /** Of the last statx. */
  #key(): string {
    const { bytes } = this.#kernel;
    const device = `${bytes.readUInt32LE(AT.stat + STATX.major)}:${bytes.readUInt32LE(AT.stat + STATX.minor)}`;
    return `${device}:${bytes.readBigUInt64LE(AT.stat + STATX.inode)}`;
  }
}

function typeOf(mode: number): 'file' | 'dir' | undefined {
  if ((mode & S_IFMT) === 0o100000) return 'file';
  return (mode & S_IFMT) === 0o040000 ? 'dir' : undefined;
}
