import { closeSync, linkSync, lstatSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import type { DirectoryChain } from './chain.ts';
import { copyNode, finishDirectory } from './copy-node.ts';
import { implicitDirectory, join } from './layer-tree.ts';
import type { Owners } from './ownership.ts';
import type { RootEntry } from './root-view.ts';

export interface CopyOptions {
  readonly owners: Owners;
  /** The directory of the merged tree to copy; default: its root. */
  readonly top?: string | undefined;
  /**
   * The copy is to be changed and then compared (`diffInto`): names of one file become files of their own, as they do in an
   * overlay as soon as one of them is written to, and `TARGET.directories` says which directory is which.
   */
  readonly isForDiff?: boolean | undefined;
}

/**
 * Copies the merged tree of a chain to `target`. Returns a moment on the filesystem's clock (ctime, ns): what has a later
 * ctime was changed afterwards, which no tool can hide.
 */
export function copyChain(
  chain: DirectoryChain,
  target: string,
  { owners, top = '', isForDiff = false }: CopyOptions,
): bigint {
  const firstNames = new Map<string, string>();
  const directories: RootEntry[] = [];
  const pending = [top];
  const targetOf = (path: string): string => joinPath(target, path.slice(top.length));
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const found = chain.tree.lookup(path);
    if (!found && path !== '') continue;
    const entry = found?.entry ?? implicitDirectory('');
    const source = found ? chain.sourceOf(found) : '';
    const first = isForDiff || !found ? undefined : otherName(source, { target: targetOf(path), entry, firstNames });
    if (first !== undefined) linkSync(first, targetOf(path));
    else copyNode(source, targetOf(path), entry, owners);
    if (entry.type !== 'directory') continue;
    directories.push({ ...entry, path });
    for (const name of chain.tree.list(path)) pending.push(join(path, name));
  }
  if (isForDiff) {
    const identities = directories.map(({ path }) => [path, inodeOf(targetOf(path))] as const);
    writeFileSync(identitiesOf(target), JSON.stringify(identities));
  }
  for (const entry of directories.reverse()) finishDirectory(targetOf(entry.path), entry, owners);
  return nextTick(`${target}.tick`);
}

interface Naming {
  readonly target: string;
  readonly entry: RootEntry;
  readonly firstNames: Map<string, string>;
}

/** The copy that the file has under another name already. */
function otherName(source: string, { target, entry, firstNames }: Naming): string | undefined {
  if (entry.type === 'directory') return undefined;
  const { nlink, dev, ino } = lstatSync(source, { bigint: true });
  if (nlink < 2n) return undefined;
  const key = `${dev}:${ino}`;
  const first = firstNames.get(key);
  if (first === undefined) firstNames.set(key, target);
  return first;
}

const identitiesOf = (target: string): string => `${target}.directories`;
const inodeOf = (path: string): string => String(lstatSync(path, { bigint: true }).ino);

/** The inode of each directory of a copy, by its path: one that has been moved is told by it. */
export const readIdentities = (target: string): ReadonlyMap<string, string> =>
  new Map(JSON.parse(readFileSync(identitiesOf(target), 'utf8')) as readonly (readonly [string, string])[]); // see copyChain

/** Waits until the clock that stamps files (it moves every few milliseconds) has gone on. */
function nextTick(file: string): bigint {
  const start = touch(file);
  while (touch(file) === start);
  rmSync(file);
  return start;
}

function touch(file: string): bigint {
  rmSync(file, { force: true });
  closeSync(openSync(file, 'wx'));
  return lstatSync(file, { bigint: true }).ctimeNs;
}
