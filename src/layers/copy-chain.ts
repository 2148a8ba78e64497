import { closeSync, linkSync, lstatSync, openSync, rmSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import type { DirectoryChain } from './chain.ts';
import { copyNode, finishDirectory } from './copy-node.ts';
import { implicitDirectory, join } from './layer-tree.ts';
import type { Found } from './merged-tree.ts';
import type { Owners } from './ownership.ts';
import type { RootEntry } from './root-view.ts';

export interface CopyTarget {
  readonly target: string;
  readonly owners: Owners;
  readonly top?: string | undefined;
}

/**
 * Copies the merged tree of a chain, or what it has at the directory `top`, to `target`, hard links kept. Returns a moment on the filesystem's clock (ctime, ns): what has
 * a later ctime was changed afterwards, which no tool can hide.
 */
export function copyChain(chain: DirectoryChain, { target, owners, top = '' }: CopyTarget): bigint {
  const firstNames = new Map<string, string>();
  const directories: RootEntry[] = [];
  const pending = [top];
  const targetOf = (path: string): string => joinPath(target, path.slice(top.length));
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const found = chain.tree.lookup(path);
    if (!found && path !== '') continue;
    const entry = found?.entry ?? implicitDirectory('');
    copyOne(found ? chain.sourceOf(found) : '', targetOf(path), { found, entry, firstNames, owners });
    if (entry.type !== 'directory') continue;
    directories.push({ ...entry, path });
    for (const name of chain.tree.list(path)) pending.push(join(path, name));
  }
  for (const entry of directories.reverse()) finishDirectory(targetOf(entry.path), entry, owners);
  return nextTick(`${target}.tick`);
}

interface Copying {
  readonly found: Found | undefined;
  readonly entry: RootEntry;
  readonly firstNames: Map<string, string>;
  readonly owners: Owners;
}

function copyOne(source: string, target: string, { found, entry, firstNames, owners }: Copying): void {
  const stats = found && entry.type !== 'directory' ? lstatSync(source, { bigint: true }) : undefined;
  const key = stats && stats.nlink > 1n ? `${stats.dev}:${stats.ino}` : undefined;
  const first = key && firstNames.get(key);
  if (key && !first) firstNames.set(key, target);
  if (first) linkSync(first, target);
  else copyNode(source, target, entry, owners);
}

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
