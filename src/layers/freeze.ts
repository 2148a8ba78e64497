import { existsSync, lstatSync, readdirSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { type MtimeRule, mtimeChanges } from '../oci/index.ts';
import { setPathTime } from './attributes.ts';
import { entryAt } from './file-entry.ts';
import { implicitDirectory, join } from './layer-tree.ts';
import { namesIn } from './layer-walk.ts';
import type { MergedTree } from './merged-tree.ts';
import type { Owners } from './ownership.ts';
import type { RootEntry } from './root-view.ts';
import { clearOpaque, isOpaque, isWhiteout, refuseLiteralMarker } from './whiteout.ts';

export interface FreezeOptions {
  /** Absolute, clean. */
  readonly exclude: readonly string[];
  readonly mtimeRule?: MtimeRule | undefined;
  readonly owners: Owners;
}

/**
 * Makes an upper directory say only what a layer on top of `below` has to say, so that its tar is a function of the directory
 * alone: mount stubs go, whiteouts of nothing go, times are clamped. Returns the directories that are not in the layer.
 */
export function freeze(upper: string, below: MergedTree, options: FreezeOptions): readonly string[] {
  const { exclude, mtimeRule, owners } = options;
  for (const path of exclude) removeStub({ upper, below, owners }, path.slice(1));
  const pending = [''];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const at = path === '' ? upper : `${upper}/${path}`;
    for (const name of namesIn(at, path)) {
      if (settle(`${at}/${name}`, join(path, name), { name, below, mtimeRule })) pending.push(join(path, name));
    }
  }
  // The root's own time means nothing: mounting a step's files changes it.
  const lowerRoot = below.lookup('')?.entry ?? implicitDirectory('');
  setPathTime(upper, lowerRoot.mtime);
  return isSameDirectory(entryAt(upper, '', { owners }), lowerRoot) ? [''] : [];
}

interface Settling {
  readonly name: string;
  readonly below: MergedTree;
  readonly mtimeRule: MtimeRule | undefined;
}

/** Returns whether it is a directory to go on with. */
function settle(at: string, path: string, { name, below, mtimeRule }: Settling): boolean {
  const stats = lstatSync(at);
  if (isWhiteout(at, stats)) {
    if (!below.lookup(path)) keepTime(dirname(at), () => unlinkSync(at));
    return false;
  }
  refuseLiteralMarker(path, name);
  // Overlay marks every new directory, to save look-ups; only one that hides something belongs into the tar.
  if (stats.isDirectory() && isOpaque(at) && below.lookup(path)?.entry.type !== 'directory') clearOpaque(at);
  if (mtimeChanges(stats.mtimeMs / 1000, mtimeRule)) setPathTime(at, mtimeRule.seconds);
  return stats.isDirectory();
}

interface Upper {
  readonly upper: string;
  readonly below: MergedTree;
  readonly owners: Owners;
}

/** Removes a stub and every directory above it that is in the upper directory for its sake only. */
function removeStub({ upper, below, owners }: Upper, stub: string): void {
  if (!areDirectories(upper, stub)) return;
  const parent = parentOf(stub) ?? '';
  keepTime(`${upper}/${parent}`, () => rmSync(`${upper}/${stub}`, { recursive: true, force: true }));
  for (let path = parent; path !== ''; path = parentOf(path) ?? '') {
    const at = `${upper}/${path}`;
    if (!existsSync(at)) continue;
    const lower = below.lookup(path)?.entry;
    if (!lower || isOpaque(at) || !isSameDirectory(entryAt(at, path, { owners }), lower)) return;
    if (readdirSync(at).length > 0) {
      if (path === parent && !hasOwnChanges(at, path, below)) setPathTime(at, lower.mtime);
      return;
    }
    keepTime(`${upper}/${parentOf(path) ?? ''}`, () => rmdirSync(at));
  }
}

/** Runs something that changes what is in a directory, and gives the directory its time back. */
function keepTime(directory: string, change: () => void): void {
  const stats = lstatSync(directory, { throwIfNoEntry: false });
  change();
  if (!stats) return;
  const seconds = Math.floor(stats.mtimeMs / 1000);
  setPathTime(directory, seconds);
}

/** Whether a name was made or deleted in this very directory; else its time comes from the stub alone. */
const hasOwnChanges = (at: string, path: string, below: MergedTree): boolean =>
  readdirSync(at).some(
    (name) => !lstatSync(`${at}/${name}`).isDirectory() || below.lookup(join(path, name))?.entry.type !== 'directory',
  );

/** Whether every parent of `path` is a real directory of `upper` (or missing): a step may have put a link there. */
function areDirectories(upper: string, path: string): boolean {
  for (let parent = parentOf(path); parent !== undefined && parent !== ''; parent = parentOf(parent)) {
    const stats = lstatSync(`${upper}/${parent}`, { throwIfNoEntry: false });
    if (stats && !stats.isDirectory()) return false;
  }
  return path !== '';
}

function parentOf(path: string): string | undefined {
  if (path === '') return undefined;
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

/** Same mode, owner and attributes; the time is not compared. */
export function isSameDirectory(one: RootEntry | undefined, other: RootEntry | undefined): boolean {
  if (one?.type !== 'directory' || other?.type !== 'directory') return false;
  if (one.mode !== other.mode || one.uid !== other.uid || one.gid !== other.gid) return false;
  const names = new Set([...(one.xattrs?.keys() ?? []), ...(other.xattrs?.keys() ?? [])]);
  return [...names].every((name) => {
    const [a, b] = [one.xattrs?.get(name), other.xattrs?.get(name)];
    return a !== undefined && b !== undefined && Buffer.compare(a, b) === 0;
  });
}
