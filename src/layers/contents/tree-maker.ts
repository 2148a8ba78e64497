import { refused } from '../directory-cursor.ts';
import { type EntryName, readName } from '../entry-name.ts';
import { implicitDirectory, join, type LayerNode } from '../layer-tree.ts';
import type { RootEntry } from '../root-view.ts';
import { TarDecoder, type TarEntry } from '../tar/index.ts';
import type { Row } from './block.ts';
import { decodePlace, type EntryNode, encodePlace, entryNode, type FileBytes, type Place } from './place.ts';
import { rowsThatStay } from './rows-that-stay.ts';
import type { SortedTable } from './sorted-table.ts';

/** As in DirectoryCursor. */
const MAX_LINKS = 40;
const MAX_DEPTH = 512;
/** As in LayerWriter. */
const MAX_ENTRIES = 8_000_000;

type EntryOf<Type extends TarEntry['type']> = Extract<TarEntry, { readonly type: Type }>;

/** A directory that is there. */
interface Directory {
  /** Without symlinks. */
  readonly path: string;
  readonly since: number;
}

const ROOT: Directory = { path: '', since: 0 };

/**
 * Makes the index of a layer of its tar, as the bytes come: the tree that unpacking it would give. Memory is bounded by that of the
 * table. A thing that replaces a directory replaces all in it, which costs nothing: see `Place.since`.
 */
export class TreeMaker {
  readonly #table: SortedTable;
  readonly #decoder: TarDecoder;
  /** The directories on the way to the one that was used last, outermost first, without the root. */
  readonly #way: Directory[] = [];
  #members = 0;
  #puts = 0;

  constructor(table: SortedTable) {
    this.#table = table;
    this.#decoder = new TarDecoder({
      entry: (entry, offset) => this.#entry(entry, offset),
      data: () => undefined,
      hole: () => undefined,
      end: () => undefined,
    });
    this.#put('', { node: entryNode(implicitDirectory(''), true), since: 1 });
  }

  /** Throws `E_BAD_LAYER`. */
  push(chunk: Uint8Array): void {
    this.#decoder.push(chunk);
  }

  /** Says that there are no more bytes. */
  end(): void {
    this.#decoder.finish();
  }

  /** The index: a row for each path, in the order of their keys. */
  rows(): Iterable<Row> {
    return rowsThatStay(this.#table.rows());
  }

  #entry(entry: TarEntry, offset: number | undefined): void {
    const member = this.#members++;
    if (member >= MAX_ENTRIES) throw refused(entry.path, `the layer has more than ${MAX_ENTRIES} entries`);
    const name = readName(entry.path);
    if (!name) return;
    const parent = this.#open(name.directory);
    if (name.marker) return this.#mark(name.marker, parent);
    const path = parent.path === name.directory ? entry.path : join(parent.path, name.name);
    if (path === '' && entry.type !== 'directory') throw refused('/', 'the root is not a directory');
    if (entry.type === 'hardlink') this.#link(entry, path);
    else if (entry.type === 'directory') this.#addDirectory({ ...entry, path }, parent);
    else {
      const bytes: FileBytes | undefined =
        entry.type !== 'file' ? undefined : offset === undefined ? { member } : { offset };
      this.#put(path, { node: entryNode(entry), bytes, since: 0 });
    }
  }

  #mark(marker: NonNullable<EntryName['marker']>, parent: Directory): void {
    switch (marker.kind) {
      case 'opaque':
        return this.#makeOpaque(parent.path);
      case 'whiteout': {
        // speaks of the layers below only: what this layer itself put there stays, and hides them
        const hidden = join(parent.path, marker.name);
        const own = this.#find(hidden, parent);
        if (!own) this.#put(hidden, { node: { kind: 'whiteout' }, since: 0 });
        else if (isDirectory(own.node)) this.#makeOpaque(hidden);
        return;
      }
      case 'ignored':
        return;
      default:
        marker satisfies never;
    }
  }

  #addDirectory(entry: RootEntry, parent: Directory): void {
    const { path } = entry;
    if (path.split('/').length > MAX_DEPTH) throw tooDeep(path);
    const known = path === '' ? this.#at('') : this.#find(path, parent);
    const wasDirectory = known !== undefined && isDirectory(known.node);
    const isOpaque = known?.node.kind === 'whiteout' || (wasDirectory && known.node.isOpaque);
    this.#put(path, { node: entryNode(entry, false, isOpaque), since: wasDirectory ? known.since : this.#puts + 1 });
  }

  #link({ linkname }: EntryOf<'hardlink'>, path: string): void {
    const name = readName(linkname);
    if (!name || name.marker || name.name === '') throw refused(path, `its link target "${linkname}" is no file`);
    const parent = this.#follow(name.directory);
    const real = join(parent?.path ?? '', name.name);
    const target = parent && this.#find(real, parent);
    const node = target?.node;
    if (node?.kind === 'whiteout') throw refused(path, `its link target "${linkname}" is deleted`);
    if (node?.kind !== 'entry') return void this.#put(path, { node: node ?? { kind: 'link', linkname }, since: 0 });
    if (isDirectory(node)) throw refused(path, `its link target "${linkname}" is a directory`);
    if (real === path) return;
    if (real.startsWith(`${path}/`)) throw refused(path, 'it links to what it replaces');
    this.#put(path, { node, bytes: target?.bytes, since: 0 });
  }

  /** A directory by the path that the archive uses for it; made where it is missing. */
  #open(path: string): Directory {
    const make = (missing: string, node: LayerNode | undefined): Directory => {
      if (node && node.kind !== 'whiteout') throw refused(path, `"${missing}" is not a directory`);
      const directory = entryNode(implicitDirectory(missing), true, node !== undefined);
      const since = this.#put(missing, { node: directory, since: this.#puts + 1 });
      return { path: missing, since };
    };
    return this.#follow(path, make) ?? ROOT;
  }

  /** The same; undefined where it is missing and `make` is not given. Links are followed inside the layer. */
  #follow(path: string, make?: (missing: string, node: LayerNode | undefined) => Directory): Directory | undefined {
    if (path === '') return ROOT;
    const last = this.#way.at(-1);
    if (last?.path === path) return last;
    let rest = path.split('/');
    let depth = 0;
    let links = 0;
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        depth = Math.max(0, depth - 1);
        continue;
      }
      const parent = this.#way[depth - 1] ?? ROOT;
      const next = join(parent.path, name);
      if (this.#way[depth]?.path === next) {
        depth++;
        continue;
      }
      this.#way.length = depth;
      if (depth >= MAX_DEPTH) throw tooDeep(next);
      const found = this.#find(next, parent);
      if (found?.node.kind === 'entry' && found.node.entry.type === 'symlink') {
        if (++links > MAX_LINKS) throw refused(path, 'its symbolic links form a loop');
        const { linkname } = found.node.entry;
        if (linkname.startsWith('/')) depth = 0;
        rest = [...linkname.split('/'), ...rest];
        continue;
      }
      const isThere = found !== undefined && isDirectory(found.node);
      if (!isThere && !make) return undefined;
      this.#way[depth++] = isThere ? { path: next, since: found.since } : (make?.(next, found?.node) ?? ROOT);
    }
    return this.#way[depth - 1] ?? ROOT;
  }

  #makeOpaque(path: string): void {
    const place = this.#at(path);
    if (place?.node.kind === 'entry') this.#put(path, { ...place, node: { ...place.node, isOpaque: true } });
  }

  /** What is in a directory that is there. */
  #find(path: string, parent: Directory): Place | undefined {
    const place = this.#at(path);
    return place && place.time >= parent.since ? place : undefined;
  }

  /** What was put there last, whether or not it is still there. */
  #at(path: string): Place | undefined {
    const value = this.#table.get(path);
    return value && decodePlace(value, path);
  }

  /** Returns the time. What path the entry says does not matter. */
  #put(path: string, { node, bytes, since }: Omit<Place, 'time'>): number {
    const time = ++this.#puts;
    this.#table.put(path, encodePlace({ node, bytes, since, time }));
    if (!isDirectory(node)) this.#leave(path);
    return time;
  }

  /** It is no directory any more. */
  #leave(path: string): void {
    const deepest = this.#way.at(-1)?.path;
    if (deepest === undefined || deepest.length < path.length || !deepest.startsWith(path)) return;
    const depth = this.#way.findIndex((directory) => directory.path === path);
    if (depth >= 0) this.#way.length = depth;
  }
}

type DirectoryNode = EntryNode & { readonly entry: { readonly type: 'directory' } };

const isDirectory = (node: LayerNode): node is DirectoryNode =>
  node.kind === 'entry' && node.entry.type === 'directory';

const tooDeep = (path: string) => refused(path, `it is more than ${MAX_DEPTH} directories deep`);
