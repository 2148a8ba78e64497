import { closeSync, constants, openSync } from 'node:fs';
import { closeRead, openAt } from '../layers/index.ts';

/** asm-generic/fcntl.h */
const O_PATH = 0o10000000;
const OPEN_DIRECTORY = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** A build reads a few roots at a time, each by one open descriptor a level. */
const MOST_CURSORS = 8;

const isWithin = (path: string, directory: string): boolean =>
  directory === '' || path === directory || (path.startsWith(directory) && path[directory.length] === '/');

/** A source root, as far as it is walked: the very object names it. */
interface RootDirectory {
  readonly directory: string;
}

interface Level {
  /** In the root. */
  readonly path: string;
  readonly fd: number;
}

/** A name in an open directory. */
export interface PlaceInRoot {
  /** A descriptor. */
  readonly directory: number;
  readonly name: string;
}

/**
 * Walks the directories of a source root by descriptors: each level is opened in its parent, and no link is followed. Whoever
 * puts a link in the place of a directory while the build reads gets an error (ENOTDIR), and nothing outside of the root.
 * Neighbouring paths cost one `open` a changed level.
 */
class SourceCursor {
  readonly #root: number;
  readonly #levels: Level[] = [];

  constructor(directory: string) {
    // the root itself is named by the user, and may be a link
    this.#root = openSync(directory, O_PATH | constants.O_DIRECTORY);
  }

  /** For system calls, good until the next call; `path` is relative and clean, with the links in it followed. */
  at(path: string): PlaceInRoot {
    const slash = path.lastIndexOf('/');
    return { directory: this.#enter(path.slice(0, Math.max(0, slash))), name: path.slice(slash + 1) || '.' };
  }

  directory(path: string): string {
    return `/proc/self/fd/${this.#enter(path)}/.`;
  }

  close(): void {
    this.#shorten(0);
    closeSync(this.#root);
  }

  #enter(directory: string): number {
    if (directory === (this.#levels.at(-1)?.path ?? '')) return this.#deepest();
    while (!isWithin(directory, this.#levels.at(-1)?.path ?? '')) this.#shorten(this.#levels.length - 1);
    const start = this.#levels.at(-1)?.path ?? '';
    const missing = directory.slice(start === '' ? 0 : start.length + 1);
    for (const name of missing === '' ? [] : missing.split('/')) {
      const parent = this.#levels.at(-1)?.path ?? '';
      const fd = openAt(this.#deepest(), name, OPEN_DIRECTORY);
      this.#levels.push({ path: parent === '' ? name : `${parent}/${name}`, fd });
    }
    return this.#deepest();
  }

  #deepest(): number {
    return this.#levels.at(-1)?.fd ?? this.#root;
  }

  #shorten(depth: number): void {
    while (this.#levels.length > depth) {
      const level = this.#levels.pop();
      if (level) closeRead(level.fd);
    }
  }
}

/** By the root object: another build has others. The last used is the last. */
const open = new Map<RootDirectory, SourceCursor>();
let last: { readonly root: RootDirectory; readonly cursor: SourceCursor } | undefined;

function cursorOf(root: RootDirectory): SourceCursor {
  if (last?.root === root) return last.cursor;
  const known = open.get(root);
  open.delete(root);
  const cursor = known ?? new SourceCursor(root.directory);
  open.set(root, cursor);
  for (const oldest of open.keys()) {
    if (open.size <= MOST_CURSORS) break;
    closeSource(oldest);
  }
  last = { root, cursor };
  return cursor;
}

/** Where to look for a path of a root: for one system call, which must not follow a link at its end. */
export const placeOf = (root: RootDirectory, path: string): PlaceInRoot => cursorOf(root).at(path);

/** The same as a path. */
export const placeIn = (root: RootDirectory, path: string): string => pathOf(placeOf(root, path));

export const pathOf = ({ directory, name }: PlaceInRoot): string => `/proc/self/fd/${directory}/${name}`;

/** The same for a directory that is to be listed. */
export const directoryIn = (root: RootDirectory, path: string): string => cursorOf(root).directory(path);

/** Closes what is open of a root that nobody reads any more. */
export function closeSource(root: RootDirectory): void {
  if (last?.root === root) last = undefined;
  open.get(root)?.close();
  open.delete(root);
}
