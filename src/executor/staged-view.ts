import { posix } from 'node:path';
import { type RootEntry, type RootView, refuseLiteralMarker, type TarEntry } from '../layers/index.ts';

/** An entry of the layer that is being made. `''` is never one. */
export type StagedEntry = TarEntry;

/**
 * The root as it will be: what was staged for the new layer over the layers below. Paths are absolute and clean.
 * Used by COPY, ADD and WORKDIR to decide what a path is and to add the directories that a layer must name.
 */
export class StagedView implements RootView {
  readonly #below: RootView;
  readonly #staged = new Map<string, StagedEntry>();

  constructor(below: RootView) {
    this.#below = below;
  }

  lstat(path: string): RootEntry | undefined {
    const staged = this.#staged.get(path);
    if (staged === undefined) return this.#hidden(path) ? undefined : this.#below.lstat(path);
    return staged.type === 'hardlink' ? this.lstat(`/${staged.linkname}`) : staged;
  }

  list(path: string): readonly string[] {
    const prefix = path === '/' ? '/' : `${path}/`;
    const names = new Set(this.#hidden(path) ? [] : this.#below.list(path));
    for (const staged of this.#staged.keys()) {
      if (staged.startsWith(prefix)) names.add(staged.slice(prefix.length).split('/')[0] ?? '');
    }
    return [...names].sort();
  }

  /** Staged files have no bytes yet: only what lies below is read. */
  readFile(path: string, limitBytes: number): Promise<Uint8Array | undefined> {
    return this.#staged.has(path) ? Promise.resolve(undefined) : this.#below.readFile(path, limitBytes);
  }

  /** True where a staged non-directory took the place of one of the parents. */
  #hidden(path: string): boolean {
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
      const staged = this.#staged.get(path.slice(0, slash));
      if (staged !== undefined) return staged.type !== 'directory';
    }
    return false;
  }

  /** Adds or replaces an entry; a non-directory removes what was staged below it. */
  stage(path: string, entry: StagedEntry): void {
    const before = this.#staged.get(path);
    if (before?.type === 'directory' && entry.type !== 'directory') {
      for (const staged of [...this.#staged.keys()]) if (staged.startsWith(`${path}/`)) this.#staged.delete(staged);
    }
    this.#set(path, entry);
  }

  /** Throws `E_BAD_LAYER` for a name that means a deletion. */
  #set(path: string, entry: StagedEntry): void {
    refuseLiteralMarker(path.slice(1), posix.basename(path));
    this.#staged.set(path, entry);
  }

  /**
   * Names a directory and its parents in the layer. Those that exist below keep their attributes; the others are made
   * like `fresh`. Returns false when a component is there and is no directory.
   */
  stageDirectory(path: string, fresh: { uid: number; gid: number; mtime: number }): boolean {
    if (path === '/') return true;
    if (!this.stageDirectory(posix.dirname(path), fresh)) return false;
    const found = this.lstat(path);
    if (found !== undefined && found.type !== 'directory') return false;
    if (this.#staged.get(path) === undefined) {
      this.#set(
        path,
        found ? { ...found, path: path.slice(1) } : { type: 'directory', path: path.slice(1), mode: 0o755, ...fresh },
      );
    }
    return true;
  }

  /** undefined: the new layer has nothing there. */
  stagedAt(path: string): StagedEntry | undefined {
    return this.#staged.get(path);
  }

  /** True while nothing took the entry's place. */
  holds(entry: StagedEntry): boolean {
    return this.#staged.get(`/${entry.path}`) === entry;
  }

  /** Sorted by path: parents come before children. */
  entries(): readonly (readonly [path: string, entry: StagedEntry])[] {
    return [...this.#staged].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  }
}
