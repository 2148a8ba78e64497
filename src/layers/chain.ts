import { mkdirSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import { copyNode, finishDirectory } from './copy-node.ts';
import { DirectoryTree } from './directory-tree.ts';
import { isSameDirectory } from './freeze.ts';
import { type LayerMeta, readMeta } from './layer-meta.ts';
import { type Found, MergedTree } from './merged-tree.ts';
import type { Owners } from './ownership.ts';
import type { RootEntry } from './root-view.ts';

/** Layer directories of a chain, for look-ups; `layers` topmost first. */
export class DirectoryChain {
  readonly tree: MergedTree;
  readonly #layers: readonly { readonly tree: DirectoryTree; readonly meta: LayerMeta }[];

  constructor(layers: readonly string[]) {
    this.#layers = layers.map((layer) => {
      const meta = readMeta(layer);
      return { meta, tree: treeOf(layer, meta) };
    });
    this.tree = new MergedTree(this.#layers.map(({ tree }) => tree));
  }

  /** Where the file that `found` describes lies. */
  sourceOf(found: Found): string {
    const layer = this.#layers.find(({ tree }) => tree === found.layer);
    return layer ? layer.tree.pathOf(found.source) : '';
  }

  /**
   * Makes a directory which, mounted on top of the chain, shows what its layers could not say on their own: the attributes of
   * directories that a tar leaves out (`/tmp` is 1777 although a layer only says `/tmp/x`), and hard links to files of
   * layers below. Returns whether there is any need for it.
   */
  complete(target: string, owners: Owners): boolean {
    const wanted = this.#incomplete();
    if (wanted.size === 0) return false;
    const paths = [...withParents(wanted.keys())].sort();
    const made: RootEntry[] = [];
    for (const path of paths) {
      const found = wanted.get(path) ?? this.tree.lookup(path);
      if (!found) continue;
      const at = joinPath(target, path);
      if (path === '') mkdirSync(at, 0o700);
      else copyNode(this.sourceOf(found), at, found.entry, owners);
      if (found.entry.type === 'directory') made.push({ ...found.entry, path });
    }
    for (const entry of made.reverse()) finishDirectory(joinPath(target, entry.path), entry, owners);
    return true;
  }

  #incomplete(): ReadonlyMap<string, Found> {
    const wanted = new Map<string, Found>();
    for (const { tree, meta } of this.#layers) {
      for (const path of meta.implicit) {
        const found = this.tree.lookup(path);
        if (!found || found.topmost !== tree || found.layer === tree || found.entry.type !== 'directory') continue;
        const shown = tree.lookup(path);
        if (shown?.kind === 'entry' && differ(shown.entry, found.entry)) wanted.set(path, found);
      }
      for (const { path } of meta.links) {
        const found = this.tree.lookup(path);
        if (found?.topmost === tree) wanted.set(path, found);
      }
    }
    return wanted;
  }
}

const trees = new WeakMap<LayerMeta, DirectoryTree>();

/** A tree remembers its root's attributes, which every step on top of the layer asks for. */
function treeOf(layer: string, meta: LayerMeta): DirectoryTree {
  const known = trees.get(meta) ?? new DirectoryTree(joinPath(layer, 'fs'), meta);
  trees.set(meta, known);
  return known;
}

const differ = (shown: RootEntry, real: RootEntry): boolean =>
  !isSameDirectory(shown, real) || (real.path !== '' && shown.mtime !== real.mtime);

/** The paths and all directories above them, the root included. */
function withParents(paths: Iterable<string>): ReadonlySet<string> {
  const all = new Set<string>(['']);
  for (const path of paths) {
    for (let end = path.indexOf('/'); end >= 0; end = path.indexOf('/', end + 1)) all.add(path.slice(0, end));
    all.add(path);
  }
  return all;
}
