import type { LayerNode, LayerTree } from './layer-tree.ts';
import { join } from './layer-tree.ts';
import type { RootEntry } from './root-view.ts';

/** What a chain has under a path. */
export interface Found {
  readonly entry: RootEntry;
  /** The layer that answers (of a directory: the topmost one that describes it). */
  readonly layer: LayerTree;
  /** Where in that layer: differs from the path asked for after a hard link to a layer below. */
  readonly source: string;
  /** The topmost layer that has the path. */
  readonly topmost: LayerTree;
}

type EntryNode = Extract<LayerNode, { readonly kind: 'entry' }>;

interface Level {
  readonly layer: LayerTree;
  readonly node: EntryNode;
}

const NO_LAYERS: readonly LayerTree[] = [];

/** The merged tree of layers by overlay's rules, without a mount. No symlink is followed. */
export class MergedTree {
  readonly #layers: readonly LayerTree[];
  /** The layers that take part in a directory, topmost first; empty where there is no directory. */
  readonly #directories = new Map<string, readonly Level[]>();

  /** Topmost first. */
  constructor(layers: readonly LayerTree[]) {
    const cut = layers.findIndex((layer) => layer.isOpaqueRoot);
    this.#layers = cut < 0 ? layers : layers.slice(0, cut + 1);
  }

  lookup(path: string): Found | undefined {
    const candidates = this.#candidates(path);
    if (candidates.length === 0) return undefined;
    const levels = this.#levels(path, candidates);
    const [top] = levels;
    if (!top) return this.#lookupLink(path, candidates);
    const describing = levels.find(({ node }) => !node.isImplicit) ?? top;
    return { entry: describing.node.entry, layer: describing.layer, source: path, topmost: top.layer };
  }

  list(path: string): readonly string[] {
    const names = new Set(this.#directory(path).flatMap(({ layer }) => layer.list(path)));
    return [...names].filter((name) => this.lookup(join(path, name)) !== undefined).sort();
  }

  /** Layers in which all parents of `path` are directories that are still seen. */
  #candidates(path: string): readonly LayerTree[] {
    if (path === '') return this.#layers;
    const slash = path.lastIndexOf('/');
    const levels = this.#directory(slash < 0 ? '' : path.slice(0, slash));
    return levels.length === 0 ? NO_LAYERS : levels.map(({ layer }) => layer);
  }

  #directory(path: string): readonly Level[] {
    const known = this.#directories.get(path);
    if (known) return known;
    const levels = this.#levels(path, this.#candidates(path));
    const found = levels[0]?.node.entry.type === 'directory' ? levels : [];
    this.#directories.set(path, found);
    return found;
  }

  /** The layers that say something about `path` and are seen: one for a file, one or more for a directory, none for a link. */
  #levels(path: string, candidates: readonly LayerTree[]): readonly Level[] {
    const levels: Level[] = [];
    for (const layer of candidates) {
      const node = layer.lookup(path);
      if (!node) continue;
      if (node.kind !== 'entry') break;
      const isDirectory = node.entry.type === 'directory';
      if (levels.length > 0 && !isDirectory) break;
      levels.push({ layer, node });
      if (!isDirectory || node.isOpaque) break;
    }
    return levels;
  }

  #lookupLink(path: string, candidates: readonly LayerTree[]): Found | undefined {
    for (const layer of candidates) {
      const node = layer.lookup(path);
      if (!node) continue;
      if (node.kind !== 'link') return undefined;
      // A link to a link ends: each is a layer further down.
      const below = new MergedTree(this.#layers.slice(this.#layers.indexOf(layer) + 1));
      const target = below.lookup(node.linkname);
      if (!target || target.entry.type === 'directory') return undefined;
      return { ...target, entry: { ...target.entry, path }, topmost: layer };
    }
    return undefined;
  }
}
