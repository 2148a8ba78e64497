/** One member of a tar archive, in the terms of a filesystem. */
interface TarEntryBase {
  /** Relative, clean, without leading or trailing `/`; the root directory is `''`. */
  readonly path: string;
  /** Permission bits with setuid, setgid and sticky (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970; may be negative; whole on writing. */
  readonly mtime: number;
  /** Names with their namespace (`security.capability`); values are bytes. PAX `SCHILY.xattr.`. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
}

export type TarEntry =
  | (TarEntryBase & { readonly type: 'file'; readonly size: number })
  | (TarEntryBase & { readonly type: 'directory' })
  | (TarEntryBase & { readonly type: 'symlink'; readonly linkname: string })
  /** `linkname` as `path`: relative to the archive's root. */
  | (TarEntryBase & { readonly type: 'hardlink'; readonly linkname: string })
  | (TarEntryBase & { readonly type: 'char' | 'block'; readonly devMajor: number; readonly devMinor: number })
  | (TarEntryBase & { readonly type: 'fifo' });
