import { constants, lstatSync, readdirSync } from 'node:fs';
import { BuildError } from '../errors.ts';
import { entryAt } from './file-entry.ts';
import { type FileFacts, factsOf } from './file-facts.ts';
import type { Owners } from './ownership.ts';
import { closeRead, openAt } from './syscalls.ts';
import type { TarEntry } from './tar/entry.ts';
import { isOpaque, isWhiteout, opaqueName, refuseLiteralMarker, whiteoutName } from './whiteout.ts';

/** One member of a layer's tar; `source` is where a file's bytes lie. */
export interface LayerMember {
  readonly entry: TarEntry;
  readonly source?: string;
}

/** How a layer directory is to be read. */
export interface LayerForm {
  /** Directories that the tar does not have. */
  readonly implicit: ReadonlySet<string>;
  readonly owners: Owners;
  /** Of a directory that is being frozen: what was not looked at yet. */
  readonly unsettled?: Unsettled;
}

export interface FoundFile {
  readonly at: string;
  readonly stats: FileFacts;
}

export interface Unsettled {
  readonly directories: ReadonlySet<string>;
  /** Makes a file in them, at whatever depth, what it is in a layer; undefined: it is gone. */
  settle(file: FoundFile): FileFacts | undefined;
}

const REPLACEMENT = '\uFFFD';

/** Names in a directory. Throws `E_BAD_LAYER` for a name that is not UTF-8: a string cannot carry its bytes. */
export function namesIn(directory: string, path: string): readonly string[] {
  const names = readdirSync(directory);
  if (names.some((name) => name.includes(REPLACEMENT))) {
    const odd = readdirSync(directory, { encoding: 'buffer' }).find(
      (name) => !Buffer.from(name.toString()).equals(name),
    );
    if (odd) {
      throw new BuildError(
        'E_BAD_LAYER',
        `Cannot put a file of "/${path}" into a layer: its name ${quoted(odd)} is not UTF-8`,
        {
          hint: 'Remove or rename it in the step that makes it',
        },
      );
    }
  }
  return names;
}

const quoted = (name: Buffer): string =>
  `"${name.toString('latin1').replace(/[^ -~]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`;

interface Child extends FoundFile {
  readonly path: string;
  /** The last part of the path in the tar. */
  readonly shown: string;
  readonly isWhiteout: boolean;
  readonly isSettled: boolean;
}

/** asm-generic/fcntl.h */
const O_PATH = 0o10000000;
const AT_FDCWD = -100;

function childrenOf(directory: Child, form: LayerForm): Child[] {
  const fd = openAt(AT_FDCWD, directory.at, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    return childrenIn(directory, fd, form);
  } finally {
    closeRead(fd);
  }
}

function childrenIn(directory: Child, fd: number, { unsettled }: LayerForm): Child[] {
  const { path } = directory;
  const settle = directory.isSettled ? undefined : unsettled?.settle;
  const children: Child[] = [];
  for (const name of namesIn(directory.at, path)) {
    const at = `${directory.at}/${name}`;
    const found = factsOf(fd, name, at);
    const stats = settle ? settle({ at, stats: found }) : found;
    if (!stats) continue;
    const gone = !settle && isWhiteout(at, stats);
    const full = path === '' ? name : `${path}/${name}`;
    if (!gone) refuseLiteralMarker(full, name);
    const isSettled = directory.isSettled && unsettled?.directories.has(full) !== true;
    children.push({ at, path: full, stats, shown: gone ? whiteoutName(name) : name, isWhiteout: gone, isSettled });
  }
  return children.sort((a, b) => (a.shown < b.shown ? 1 : -1));
}

const marker = (path: string): TarEntry => ({ type: 'file', path, mode: 0o644, uid: 0, gid: 0, mtime: 0, size: 0 });

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1);

/**
 * The members of a layer directory in their order: a directory, its opaque marker, then what is in it by name. A function of
 * the directory alone. Of a file with several names the first is the file, the others are hard links to it.
 */
export function* walkLayer(root: string, form: LayerForm): Generator<LayerMember> {
  const { implicit, owners } = form;
  const firstNames = new Map<string, string>();
  const pending: Child[] = [
    { at: root, path: '', stats: lstatSync(root), shown: '', isWhiteout: false, isSettled: true },
  ];
  for (let child = pending.pop(); child; child = pending.pop()) {
    if (child.isWhiteout) {
      yield { entry: marker(`${parentOf(child.path)}${child.shown}`) };
      continue;
    }
    const entry = entryAt(child.at, child.path, { owners, stats: child.stats });
    if (!entry) continue;
    if (entry.type === 'directory') {
      if (!implicit.has(child.path)) yield { entry };
      if (child.path !== '' && isOpaque(child.at)) yield { entry: marker(`${child.path}/${opaqueName()}`) };
      for (const below of childrenOf(child, form)) pending.push(below);
      continue;
    }
    const first = child.stats.nlink > 1 ? firstNameOf(child, firstNames) : child.path;
    if (first !== child.path) yield { entry: { ...withoutSize(entry), type: 'hardlink', linkname: first } };
    else yield { entry, ...(entry.type === 'file' ? { source: child.at } : {}) };
  }
}

function firstNameOf(child: Child, firstNames: Map<string, string>): string {
  // Inode numbers may exceed what a double holds.
  const { dev, ino } = lstatSync(child.at, { bigint: true });
  const key = `${dev}:${ino}`;
  const first = firstNames.get(key) ?? child.path;
  firstNames.set(key, first);
  return first;
}

/** What a hard link repeats of its file. */
const withoutSize = ({ path, mode, uid, gid, mtime }: TarEntry) => ({ path, mode, uid, gid, mtime });
