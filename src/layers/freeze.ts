import { existsSync, lstatSync, readdirSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { type MtimeRule, mtimeChanges } from '../oci/index.ts';
import { setPathTime } from './attributes.ts';
import { entryAt } from './file-entry.ts';
import type { FileFacts } from './file-facts.ts';
import { implicitDirectory, join } from './layer-tree.ts';
import { type FoundFile, namesIn } from './layer-walk.ts';
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

export interface Frozen {
  /** Directories that are not in the layer. */
  readonly implicit: readonly string[];
  /** Directories with nothing of the layers below in them: what they hold was not looked at yet (`settleFresh`). */
  readonly fresh: ReadonlySet<string>;
}

/**
 * Makes an upper directory say only what a layer on top of `chain` has to say, so that its tar is a function of the directory
 * alone: mount stubs go, whiteouts of nothing and what is as it was go, times are clamped.
 */
export function freeze(upper: string, chain: LowerChain, options: FreezeOptions): Frozen {
  const { exclude, mtimeRule, owners } = options;
  const below = chain.tree;
  const lower: Below = { tree: below, sourceOf: (found) => chain.sourceOf(found), owners };
  for (const path of exclude) removeStub({ upper, below, owners }, path.slice(1));
  const pending = [''];
  const known: string[] = [];
  const fresh = new Set<string>();
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const at = path === '' ? upper : `${upper}/${path}`;
    known.push(path);
    for (const name of namesIn(at, path)) {
      const child = join(path, name);
      const kind = settle(`${at}/${name}`, child, { name, lower, mtimeRule });
      if (kind === 'known') pending.push(child);
      if (kind === 'fresh') fresh.add(child);
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
  return { implicit: isSameDirectory(entryAt(upper, '', { owners }), lowerRoot) ? [''] : [], fresh };
}

/** Layers below, with where their files lie. */
export interface LowerChain extends Omit<Below, 'owners'> {}

interface Settling {
  readonly name: string;
  readonly lower: Below;
  readonly mtimeRule: MtimeRule | undefined;
}

/** Of what lies in a directory that the layers below have, too. Of a directory it returns whether that is so for it as well. */
function settle(at: string, path: string, { name, lower, mtimeRule }: Settling): 'known' | 'fresh' | undefined {
  const stats = lstatSync(at);
  const find = () => lower.tree.lookup(path);
  if (isWhiteout(at, stats)) {
    if (!find()) keepTime(dirname(at), () => unlinkSync(at));
    return undefined;
  }
  refuseLiteralMarker(path, name);
  if (!stats.isDirectory()) {
    if (!removeUnchanged(at, path, lower)) clamp(at, stats.mtimeMs, mtimeRule);
    return undefined;
  }
  const isThere = find()?.entry.type === 'directory';
  const isHiding = isOpaque(at);
  // Overlay marks every new directory, to save look-ups; only one that hides something belongs into the tar.
  if (isHiding && !isThere) clearOpaque(at);
  if (isThere && !isHiding) return 'known';
  clamp(at, stats.mtimeMs, mtimeRule);
  return 'fresh';
}

/** Of what lies in a fresh directory: the same, where there is nothing below. undefined: it is no part of the layer, and gone. */
export function settleFresh({ at, stats }: FoundFile, mtimeRule: MtimeRule | undefined): FileFacts | undefined {
  if (isWhiteout(at, stats)) {
    keepTime(dirname(at), () => unlinkSync(at));
    return undefined;
  }
  if (stats.isDirectory() && isOpaque(at)) clearOpaque(at);
  return clamp(at, stats.mtimeMs, mtimeRule) ? lstatSync(at) : stats;
}

/** Returns whether it has another time now. */
function clamp(at: string, mtimeMs: number, mtimeRule: MtimeRule | undefined): boolean {
  if (!mtimeChanges(mtimeMs / 1000, mtimeRule)) return false;
  setPathTime(at, mtimeRule.seconds);
  return true;
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
