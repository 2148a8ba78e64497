import { closeSync, lstatSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import type { DirectoryChain } from './chain.ts';
import { copyNode, finishDirectory } from './copy-node.ts';
import { implicitDirectory, join } from './layer-tree.ts';
import type { RootEntry } from './root-view.ts';

/**
 * Copies the merged tree of a chain, or what it has at the directory `part`, to `target`. Names of one file become files of their
 * own, as they do in an overlay as soon as one of them is written to. Returns a moment on the filesystem's clock (ctime, ns):
 * what has a later ctime was changed afterwards, which no tool can hide. Of a whole
 * chain, `TARGET.directories` says which directory is which.
 */
export function copyChain(chain: DirectoryChain, target: string, part?: string): bigint {
  const top = part ?? '';
  const directories: RootEntry[] = [];
  const pending = [top];
  const targetOf = (path: string): string => joinPath(target, path.slice(top.length));
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const found = chain.tree.lookup(path);
    if (!found && path !== '') continue;
    const entry = found?.entry ?? implicitDirectory('');
    copyNode(found ? chain.sourceOf(found) : '', targetOf(path), entry);
    if (entry.type !== 'directory') continue;
    directories.push({ ...entry, path });
    for (const name of chain.tree.list(path)) pending.push(join(path, name));
  }
  if (part === undefined) {
    const identities = directories.map(({ path }) => [path, inodeOf(targetOf(path))] as const);
    writeFileSync(identitiesOf(target), JSON.stringify(identities));
  }
  for (const entry of directories.reverse()) finishDirectory(targetOf(entry.path), entry);
  return nextTick(`${target}.tick`);
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
