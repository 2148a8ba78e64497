import { refused } from '../../../src/layers/directory-cursor.ts';
import { readName } from '../../../src/layers/entry-name.ts';
import { implicitDirectory, join, type LayerNode, type LayerTree } from '../../../src/layers/layer-tree.ts';
import type { RootEntry } from '../../../src/layers/root-view.ts';
import { TarDecoder, type TarEntry } from '../../../src/layers/tar/index.ts';

/** As in DirectoryCursor. */
const MAX_LINKS = 40;

interface Place {
  readonly node: LayerNode;
  /** Where a file's bytes begin in the tar. */
  readonly offset?: number | undefined;
  readonly names: Set<string>;
}

/** What a layer's tar means, entry by entry, all of it in memory: the model for indexes. */
export class MemoryTree implements LayerTree {
  readonly #tar: Uint8Array;
  readonly #places = new Map<string, Place>();
  #isOpaqueRoot = false;

  constructor(tar: Uint8Array) {
    this.#tar = tar;
    this.#put('', { node: directoryNode(implicitDirectory(''), { isImplicit: true }) });
    const ignore = (): void => undefined;
    const entry = (read: TarEntry, offset: number | undefined): void => this.#add(read, offset);
    const decoder = new TarDecoder({ entry, data: ignore, end: ignore });
    decoder.push(tar);
    decoder.finish();
  }

  get isOpaqueRoot(): boolean {
    return this.#isOpaqueRoot;
  }

  lookup(path: string): LayerNode | undefined {
    return this.#places.get(path)?.node;
  }

  list(path: string): readonly string[] {
    return [...(this.#places.get(path)?.names ?? [])];
  }

  async readFile(path: string): Promise<Uint8Array> {
    const { node, offset = 0 } = this.#places.get(path) ?? {};
    if (node?.kind !== 'entry' || node.entry.type !== 'file') throw new Error(`no file ${path}`);
    return this.#tar.subarray(offset, offset + node.entry.size);
  }

  #add(entry: TarEntry, offset: number | undefined): void {
    const place = readName(entry.path);
    if (!place) return;
    const parent = this.#directory(place.directory, true) ?? '';
    const path = join(parent, place.name);
    if (path === '' && entry.type !== 'directory' && !place.marker) throw refused('/', 'the root is not a directory');
    const known = this.#places.get(path)?.node;
    switch (place.marker?.kind) {
      case 'opaque':
        this.#makeOpaque(parent);
        return;
      case 'whiteout': {
        const hidden = join(parent, place.marker.name);
        const own = this.#places.get(hidden)?.node;
        if (!own) this.#put(hidden, { node: { kind: 'whiteout' } });
        else if (own.kind === 'entry' && own.entry.type === 'directory') this.#makeOpaque(hidden);
        return;
      }
      case 'ignored':
        return;
      case undefined:
        if (entry.type === 'hardlink') this.#link(path, entry.linkname);
        else if (entry.type === 'directory') this.#addDirectory({ ...entry, path }, known);
        else {
          this.#remove(path);
          this.#put(path, { node: fileNode({ ...entry, path }), offset });
        }
        return;
      default:
        place.marker satisfies never;
    }
  }

  #addDirectory(entry: RootEntry, known: LayerNode | undefined): void {
    const wasDirectory = known?.kind === 'entry' && known.entry.type === 'directory';
    const isOpaque = known?.kind === 'whiteout' || (wasDirectory && known.isOpaque);
    this.#put(entry.path, { node: directoryNode(entry, { isOpaque }) });
  }

  #link(path: string, linkname: string): void {
    const link = readName(linkname);
    if (!link || link.marker || link.name === '') throw refused(path, `its link target "${linkname}" is no file`);
    const parent = link && this.#directory(link.directory, false);
    const target = parent === undefined || !link ? undefined : this.#places.get(join(parent, link.name));
    if (target?.node.kind === 'whiteout') throw refused(path, `its link target "${linkname}" is deleted`);
    if (target?.node.kind === 'entry') {
      if (target.node.entry.type === 'directory') throw refused(path, `its link target "${linkname}" is a directory`);
      const { path: real } = target.node.entry;
      if (real === path) return;
      if (real.startsWith(`${path}/`)) throw refused(path, 'it links to what it replaces');
      this.#remove(path);
      this.#put(path, { ...target, node: fileNode({ ...target.node.entry, path }) });
      return;
    }
    this.#remove(path);
    const lower = target?.node.kind === 'link' ? target.node : ({ kind: 'link', linkname } as const);
    this.#put(path, { node: lower });
  }

  /** The real path of a directory, links followed inside the layer; undefined: missing, and not to be made. */
  #directory(path: string, make: boolean): string | undefined {
    let rest = path === '' ? [] : path.split('/');
    let at = '';
    let links = 0;
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
        continue;
      }
      const next = join(at, name);
      const node = this.#places.get(next)?.node;
      if (node?.kind === 'entry' && node.entry.type === 'symlink') {
        if (++links > MAX_LINKS) throw refused(path, 'its symbolic links form a loop');
        const { linkname } = node.entry;
        if (linkname.startsWith('/')) at = '';
        rest = [...linkname.split('/'), ...rest];
        continue;
      }
      const isDirectory = node?.kind === 'entry' && node.entry.type === 'directory';
      if (!isDirectory && !make) return undefined;
      if (node && node.kind !== 'whiteout' && !isDirectory) throw refused(path, `"${next}" is not a directory`);
      if (node?.kind !== 'entry') {
        const isOpaque = node?.kind === 'whiteout';
        this.#put(next, { node: directoryNode(implicitDirectory(next), { isImplicit: true, isOpaque }) });
      }
      at = next;
    }
    return at;
  }

  #makeOpaque(path: string): void {
    if (path === '') this.#isOpaqueRoot = true;
    const place = this.#places.get(path);
    if (place?.node.kind === 'entry') this.#put(path, { ...place, node: { ...place.node, isOpaque: path !== '' } });
  }

  #put(path: string, place: Omit<Place, 'names'>): void {
    this.#places.set(path, { ...place, names: this.#places.get(path)?.names ?? new Set() });
    if (path === '') return;
    const slash = path.lastIndexOf('/');
    this.#places.get(slash < 0 ? '' : path.slice(0, slash))?.names.add(path.slice(slash + 1));
  }

  #remove(path: string): void {
    for (const name of this.#places.get(path)?.names ?? []) this.#remove(join(path, name));
    this.#places.delete(path);
  }
}

const fileNode = (entry: RootEntry): LayerNode => ({ kind: 'entry', entry, isImplicit: false, isOpaque: false });

const directoryNode = (
  entry: RootEntry,
  { isImplicit = false, isOpaque = false }: { readonly isImplicit?: boolean; readonly isOpaque?: boolean },
): LayerNode => ({ kind: 'entry', entry, isImplicit, isOpaque });
