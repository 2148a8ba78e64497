import { refused } from './directory-cursor.ts';
import { parseMarker, type TarMarker } from './whiteout.ts';

/** PATH_MAX of linux/limits.h. */
const MAX_PATH_BYTES = 4096;

export interface EntryName {
  readonly directory: string;
  /** `''`: the root itself. */
  readonly name: string;
  /** The entry is no file but says something about the layers below. */
  readonly marker?: TarMarker;
}

/** Nothing in it begins with a dot (`..`, markers), nothing is empty. */
const ODD = /^$|^[./]|\/[./]|\/$/;

/** What a path in a layer's tar means; undefined: nothing that belongs to the filesystem. Throws `E_BAD_LAYER`. */
export function readName(path: string): EntryName | undefined {
  if (Buffer.byteLength(path) >= MAX_PATH_BYTES) throw refused(path, 'the path is too long');
  if (!ODD.test(path)) {
    const slash = path.lastIndexOf('/');
    return { directory: slash < 0 ? '' : path.slice(0, slash), name: path.slice(slash + 1) };
  }
  const names = path.split('/');
  if (names.includes('..') || path.startsWith('/')) throw refused(path, 'it lies outside of the root');
  const name = names.pop() ?? '';
  if (name === '.' || (name === '' && path !== '')) throw refused(path, 'it has no name');
  for (const parent of names) {
    const marker = parseMarker(parent);
    if (marker?.kind === 'ignored') return undefined;
    if (marker) throw refused(path, 'a whiteout cannot be a directory');
  }
  const marker = parseMarker(name);
  if (marker?.kind === 'ignored') return undefined;
  return { directory: names.join('/'), name, ...(marker ? { marker } : {}) };
}
