import type { TarEntry } from './tar/entry.ts';

/** What a stack of layers says about one path; hard links are resolved to their file's attributes. */
export type RootEntry = Exclude<TarEntry, { readonly type: 'hardlink' }>;

/**
 * Look-ups in the merged tree of a chain of layers without mounting it and without unpacking it: COPY asks what its
 * destination is, `--chown name` asks for /etc/passwd. Answers come from layer directories where they exist, else from
 * indexes of the tars. Paths are absolute and clean; no symlink is followed.
 */
export interface RootView {
  /** undefined: nothing there (or a parent is no directory). */
  lstat(path: string): RootEntry | undefined;
  /** Names in a directory, sorted; empty where there is none. */
  list(path: string): readonly string[];
  /** A regular file's bytes, at most `limitBytes` (more throws `E_SIZE_MISMATCH`); undefined where there is none. */
  readFile(path: string, limitBytes: number): Promise<Uint8Array | undefined>;
}
