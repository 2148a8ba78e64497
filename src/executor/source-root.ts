import { isUtf8 } from 'node:buffer';
import { readdirSync, readlinkSync } from 'node:fs';
import { BuildError, systemErrorCode } from '../errors.ts';
import { type Owners, ownerOf } from '../layers/index.ts';
import type { IgnoreFile } from '../parser/index.ts';
import type { FileStat } from './file-stat.ts';
import { isGone, lstatOf } from './file-status.ts';
import { followLinks } from './follow-links.ts';
import type { ReadLog } from './read-log.ts';
import { directoryIn, type PlaceInRoot, pathOf, placeIn, placeOf } from './source-cursor.ts';

/** Where COPY reads from: the context, or a stage or image that is mounted read-only. */
export interface SourceRoot {
  /** On this machine; nothing outside of it is ever read. */
  readonly directory: string;
  /** For messages: `the context "/ci/app"`, `stage "build"`. */
  readonly description: string;
  /** The context's ignore file, if it has one. */
  readonly ignore?: (IgnoreFile & { readonly fileName: string }) | undefined;
  /** Files of a stage or image keep their numeric owners; files of a context belong to root. */
  readonly keepsOwners: boolean;
  /** How the files of a stage or image say whose they are; absent: `real`. */
  readonly owners?: Owners | undefined;
  /** A file's extended attributes, where something remembers them; else they are read. */
  readonly xattrsOf?: ((file: PlacedFile, stat: FileStat) => ReadonlyMap<string, Uint8Array>) | undefined;
  /** A directory of the user's: the next build finds its files at the same paths. */
  readonly isLasting?: boolean;
  /** Is told what is looked at. */
  readonly log?: ReadLog | undefined;
}

/** A file of a root: `path` is relative and clean, its directories resolved. */
export interface PlacedFile {
  readonly root: SourceRoot;
  readonly path: string;
}

/** What a file is called on this machine: for messages and records, not to be opened. */
export const hostPath = ({ root, path }: PlacedFile): string =>
  path === '' ? root.directory : `${root.directory}/${path}`;

const ROOT = { uid: 0, gid: 0 };

/** `path` is relative and clean, its directories resolved. undefined: nothing there. */
export function statSource(root: SourceRoot, path: string): FileStat | undefined {
  const stat = statIfThere(root, path, () => placeOf(root, path));
  root.log?.add(path, stat);
  return stat;
}

/** The same for names in a directory, one after another. */
export function statNames(root: SourceRoot, path: string, names: readonly string[]) {
  const at = path === '' ? '' : `${path}/`;
  const [first] = names;
  if (first === undefined) return [];
  let directory: number;
  try {
    ({ directory } = placeOf(root, `${at}${first}`));
  } catch (error) {
    root.log?.giveUp();
    return [unlessGone(root, path, error)];
  }
  return names.map((name) => {
    const path = `${at}${name}`;
    const stat = statIfThere(root, path, () => ({ directory, name }));
    root.log?.add(path, stat);
    return stat;
  });
}

function statIfThere(root: SourceRoot, path: string, find: () => PlaceInRoot): FileStat | undefined {
  try {
    const place = find();
    const owner = root.owners === 'recorded' ? ownerOf(pathOf(place), ROOT, root.owners) : undefined;
    return lstatOf(place, owner);
  } catch (error) {
    return unlessGone(root, path, error);
  }
}

function unlessGone(root: SourceRoot, path: string, error: unknown): undefined {
  if (isGone(error)) return undefined;
  throw unreadable(root, path, error);
}

/** Names in a directory, sorted by code unit. Throws `E_CONTEXT` where it cannot be read or a name is not UTF-8. */
export function listSource(root: SourceRoot, path: string): string[] {
  root.log?.listing(path);
  try {
    const directory = directoryIn(root, path);
    const names = readdirSync(directory);
    if (mayBeMangled(names.join('/'))) {
      for (const name of readdirSync(directory, 'buffer'))
        requireUtf8(name, `a name in "${path}" of ${root.description}`);
    }
    return names.sort();
  } catch (error) {
    throw unreadable(root, path, error);
  }
}

/** The target of a symbolic link, as it stands. Throws `E_CONTEXT` where it cannot be read or is not UTF-8. */
export function readSourceLink(root: SourceRoot, path: string): string {
  try {
    const link = placeIn(root, path);
    const target = readlinkSync(link);
    if (mayBeMangled(target)) requireUtf8(readlinkSync(link, 'buffer'), `the link "${path}" in ${root.description}`);
    return target;
  } catch (error) {
    throw unreadable(root, path, error);
  }
}

/** Node puts U+FFFD where bytes are not UTF-8: two such names would become one. */
const mayBeMangled = (text: string): boolean => text.includes('\ufffd');

function requireUtf8(bytes: Uint8Array, what: string): void {
  if (isUtf8(bytes)) return;
  throw new BuildError('E_CONTEXT', `Cannot copy ${what}: not UTF-8: "${Buffer.from(bytes).toString('latin1')}"`, {
    hint: 'Rename it (convmv -t utf8), or name its directory in .containerignore',
  });
}

/** An error of the file system as `E_CONTEXT`; an error that says more already is passed through. */
export function unreadable(root: SourceRoot, path: string, cause: unknown): BuildError {
  if (cause instanceof BuildError) return cause;
  const code = systemErrorCode(cause) ?? 'error';
  return new BuildError('E_CONTEXT', `Cannot read "${path}" in ${root.description}: ${code}`, {
    hint:
      code === 'EACCES' || code === 'EPERM'
        ? 'Make the file readable for the user who builds, or name it in .containerignore'
        : 'Look at the file; if it is not needed, name it in .containerignore',
    cause,
  });
}

/**
 * Follows symbolic links inside the root (see `followLinks`). Returns a relative, clean path; undefined: nothing there.
 */
export function resolveSource(root: SourceRoot, path: string): string | undefined {
  const readLink = (at: string): string | undefined => {
    const relative = at.slice(1);
    return statSource(root, relative)?.isSymbolicLink() ? readSourceLink(root, relative) : undefined;
  };
  const resolved = followLinks({ description: root.description, readLink }, path).slice(1);
  return statSource(root, resolved) === undefined ? undefined : resolved;
}
