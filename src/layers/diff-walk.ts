import { type BigIntStats, linkSync, lstatSync, renameSync, rmSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import { readIdentities } from './copy-chain.ts';
import { copyNode, finishDirectory } from './copy-node.ts';
import { entryAt } from './file-entry.ts';
import { join } from './layer-tree.ts';
import { namesIn } from './layer-walk.ts';
import type { MergedTree } from './merged-tree.ts';
import type { Owners } from './ownership.ts';
import type { RootEntry } from './root-view.ts';
import { makeOpaque, makeWhiteout } from './whiteout.ts';

export interface DiffOptions {
  readonly root: string;
  /** ctime in ns: later ones are changes (see copyChain). */
  readonly since: bigint;
  readonly upper: string;
  readonly owners: Owners;
}

/**
 * Compares a directory with the chain that it was copied from, by change times: no content is read. The changes go to `upper` as
 * overlay would have left them: changed files (moved there), the directories above them, whiteouts. A directory that was made
 * or moved there is new with all that is in it, as it is where a directory of a lower layer cannot be moved.
 */
export function diffInto(below: MergedTree, options: DiffOptions): undefined {
  const walk = new DiffWalk(below, options);
  walk.directory('', { isChanged: true, isNew: false });
  walk.finish();
}

interface DirectoryState {
  readonly isChanged: boolean;
  readonly isNew: boolean;
}

class DiffWalk {
  readonly #below: MergedTree;
  readonly #options: DiffOptions;
  readonly #identities: ReadonlyMap<string, string>;
  /** Directories made in `upper`, with their final attributes. */
  readonly #made = new Map<string, RootEntry>();
  /** Changed files with several names, by inode. */
  readonly #linked = new Map<bigint, { readonly names: bigint; readonly paths: string[] }>();

  constructor(below: MergedTree, options: DiffOptions) {
    this.#below = below;
    this.#options = options;
    this.#identities = readIdentities(options.root);
  }

  directory(path: string, { isChanged, isNew }: DirectoryState): void {
    const at = joinPath(this.#options.root, path);
    if (isChanged || isNew) this.#make(path);
    const names = namesIn(at, path);
    const kept = new Set(names);
    for (const name of names) this.#child(join(path, name), joinPath(at, name), isNew);
    if (isNew) return;
    for (const name of this.#below.list(path)) {
      if (kept.has(name)) continue;
      this.#make(path);
      makeWhiteout(joinPath(this.#options.upper, path, name));
    }
  }

  /** Last, when nothing more is put into them. */
  finish(): void {
    for (const { names, paths } of this.#linked.values()) if (BigInt(paths.length) < names) this.#part(paths);
    for (const [path, entry] of [...this.#made].reverse())
      finishDirectory(joinPath(this.#options.upper, path), entry, this.#options.owners);
  }

  /** A file that also has a name outside of the root (in a cache that a step had) must not change when that one does. */
  #part(paths: readonly string[]): void {
    const [first = '', ...others] = paths.map((path) => joinPath(this.#options.upper, path));
    const { owners } = this.#options;
    const entry = entryAt(first, paths[0] ?? '', { owners });
    if (!entry) return;
    const old = `${this.#options.upper}.linked`;
    renameSync(first, old);
    copyNode(old, first, entry, owners);
    rmSync(old);
    for (const other of others) {
      rmSync(other);
      linkSync(first, other);
    }
  }

  #child(path: string, at: string, isInNew: boolean): void {
    const stats = lstatSync(at, { bigint: true });
    const isChanged = isInNew || stats.ctimeNs > this.#options.since;
    if (stats.isDirectory()) {
      const isNew = isInNew || this.#isForeign(path, stats);
      this.directory(path, { isChanged, isNew });
      if (isNew && !isInNew && this.#below.lookup(path)?.entry.type === 'directory')
        makeOpaque(joinPath(this.#options.upper, path));
    } else if (isChanged) {
      this.#make(parentOf(path));
      renameSync(at, joinPath(this.#options.upper, path));
      if (stats.nlink > 1n) this.#note(path, stats);
    }
  }

  /** Not the directory that was copied to this path: inode numbers are used again, the time of birth is not. */
  #isForeign(path: string, { ino, birthtimeNs }: BigIntStats): boolean {
    return this.#identities.get(path) !== String(ino) || birthtimeNs > this.#options.since;
  }

  #note(path: string, { ino, nlink }: BigIntStats): void {
    const known = this.#linked.get(ino) ?? { names: nlink, paths: [] };
    known.paths.push(path);
    this.#linked.set(ino, known);
  }

  /** The directory and all above it, as they are in `root`. */
  #make(path: string): void {
    if (this.#made.has(path)) return;
    if (path !== '') this.#make(parentOf(path));
    const at = joinPath(this.#options.root, path);
    const entry = entryAt(at, path, this.#options);
    if (!entry) return;
    copyNode(at, joinPath(this.#options.upper, path), entry, this.#options.owners);
    this.#made.set(path, entry);
  }
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
