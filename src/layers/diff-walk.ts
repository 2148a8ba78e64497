import { lstatSync, renameSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import { copyNode, finishDirectory } from './copy-node.ts';
import { entryAt } from './file-entry.ts';
import { join } from './layer-tree.ts';
import { namesIn } from './layer-walk.ts';
import type { MergedTree } from './merged-tree.ts';
import type { Owners } from './ownership.ts';
import type { RootEntry } from './root-view.ts';
import { makeWhiteout } from './whiteout.ts';

export interface DiffOptions {
  readonly root: string;
  /** ctime in ns: later ones are changes (see copyChain). */
  readonly since: bigint;
  readonly upper: string;
  readonly owners: Owners;
}

/**
 * Compares a directory with the chain that it was copied from, by change times: no content is read. The changes go to `upper` as
 * overlay would have left them: changed files (moved there), the directories above them, whiteouts.
 */
export function diffInto(below: MergedTree, options: DiffOptions): undefined {
  const walk = new DiffWalk(below, options);
  walk.directory('', true);
  walk.finish();
}

class DiffWalk {
  readonly #below: MergedTree;
  readonly #options: DiffOptions;
  /** Directories made in `upper`, with their final attributes. */
  readonly #made = new Map<string, RootEntry>();

  constructor(below: MergedTree, options: DiffOptions) {
    this.#below = below;
    this.#options = options;
  }

  directory(path: string, isChanged: boolean): void {
    const at = joinPath(this.#options.root, path);
    if (isChanged) this.#make(path);
    const names = namesIn(at, path);
    const kept = new Set(names);
    for (const name of names) this.#child(join(path, name), joinPath(at, name));
    for (const name of this.#below.list(path)) {
      if (kept.has(name)) continue;
      this.#make(path);
      makeWhiteout(joinPath(this.#options.upper, path, name));
    }
  }

  /** Last, when nothing more is put into them. */
  finish(): void {
    for (const [path, entry] of [...this.#made].reverse())
      finishDirectory(joinPath(this.#options.upper, path), entry, this.#options.owners);
  }

  #child(path: string, at: string): void {
    const stats = lstatSync(at, { bigint: true });
    const isChanged = stats.ctimeNs > this.#options.since;
    if (stats.isDirectory()) this.directory(path, isChanged);
    else if (isChanged) {
      this.#make(parentOf(path));
      renameSync(at, joinPath(this.#options.upper, path));
    }
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
