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
import { type Below, isSameAttributes, keepTime, removeUnchanged } from './unchanged.ts';
import { clearOpaque, isOpaque, isWhiteout, refuseLiteralMarker } from './whiteout.ts';

export interface FreezeOptions {
  /** Absolute, clean. */
  readonly exclude: readonly string[];
  readonly mtimeRule?: MtimeRule | undefined;
  readonly owners: Owners;
}

/**
 * Makes an upper directory say only what a layer on top of `chain` has to say, so that its tar is a function of the directory
 * alone: mount stubs go, whiteouts of nothing and what is as it was go, times are clamped. Returns the directories that are
 * not in the layer.
 */
export function freeze(upper: string, chain: LowerChain, options: FreezeOptions): readonly string[] {
  const { exclude, mtimeRule, owners } = options;
  const below = chain.tree;
  const lower: Below = { tree: below, sourceOf: (found) => chain.sourceOf(found), owners };
  for (const path of exclude) removeStub({ upper, below, owners }, path.slice(1));
  const pending: Directory[] = [{ path: '', isKnown: true }];
  const known: string[] = [];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    const { path, isKnown } = directory;
    const at = path === '' ? upper : `${upper}/${path}`;
    if (isKnown) known.push(path);
    for (const name of namesIn(at, path)) {
      const child = settle(`${at}/${name}`, join(path, name), { name, isKnown, lower, mtimeRule });
      if (child) pending.push(child);
    }
  }
  // from the inside to the outside
  for (const path of known.reverse()) {
    const at = `${upper}/${path}`;
    if (path !== '' && !removeUnchanged(at, path, lower)) clamp(at, lstatSync(at).mtimeMs, mtimeRule);
  }
  // The root's own time means nothing: mounting a step's files changes it.
  const lowerRoot = below.lookup('')?.entry ?? implicitDirectory('');
  setPathTime(upper, lowerRoot.mtime);
  return isSameDirectory(entryAt(upper, '', { owners }), lowerRoot) ? [''] : [];
}

/** Layers below, with where their files lie. */
export interface LowerChain extends Omit<Below, 'owners'> {}

interface Directory {
  readonly path: string;
  /** It shows what the layers below have under its name, so that a file in it may be one of theirs. */
  readonly isKnown: boolean;
}

interface Settling {
  readonly name: string;
  readonly isKnown: boolean;
  readonly lower: Below;
  readonly mtimeRule: MtimeRule | undefined;
}

/** Returns a directory to go on with. */
function settle(at: string, path: string, { name, isKnown, lower, mtimeRule }: Settling): Directory | undefined {
  const stats = lstatSync(at);
  const find = () => (isKnown ? lower.tree.lookup(path) : undefined);
  if (isWhiteout(at, stats)) {
    if (!find()) keepTime(dirname(at), () => unlinkSync(at));
    return undefined;
  }
  refuseLiteralMarker(path, name);
  const isDirectory = stats.isDirectory();
  if (!isDirectory && isKnown && removeUnchanged(at, path, lower)) return undefined;
  const isThere = isDirectory && find()?.entry.type === 'directory';
  const isHiding = isDirectory && isOpaque(at);
  // Overlay marks every new directory, to save look-ups; only one that hides something belongs into the tar.
  if (isHiding && !isThere) clearOpaque(at);
  const continues = isThere && !isHiding;
  if (!continues) clamp(at, stats.mtimeMs, mtimeRule);
  return isDirectory ? { path, isKnown: continues } : undefined;
}

function clamp(at: string, mtimeMs: number, mtimeRule: MtimeRule | undefined): void {
  if (mtimeChanges(mtimeMs / 1000, mtimeRule)) setPathTime(at, mtimeRule.seconds);
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
  return isSameAttributes(one.xattrs, other.xattrs);
}
