import { closeSync, lstatSync, openSync, readdirSync, readSync, rmdirSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { setPathTime } from './attributes.ts';
import { entryAt } from './file-entry.ts';
import type { Found, MergedTree } from './merged-tree.ts';
import type { Owners } from './ownership.ts';
import type { RootEntry } from './root-view.ts';
import { isOpaque } from './whiteout.ts';

/** What a layer is put on. */
export interface Below {
  readonly tree: MergedTree;
  /** Where the file that was found lies. */
  readonly sourceOf: (found: Found) => string;
  readonly owners: Owners;
}

/**
 * Removes from an upper directory what is just as it is below: overlay copies a file up when it is opened for writing, and its
 * directories with it, whatever the step does then; a copied root has no trace of that. Returns whether it is gone.
 */
export function removeUnchanged(at: string, path: string, below: Below): boolean {
  if (!isUnchanged(at, path, below)) return false;
  const isDirectory = lstatSync(at).isDirectory();
  if (isDirectory && (isOpaque(at) || readdirSync(at).length > 0)) return false;
  keepTime(dirname(at), () => (isDirectory ? rmdirSync(at) : unlinkSync(at)));
  return true;
}

/** Whether the layers below have the same, what is in a directory aside. */
function isUnchanged(at: string, path: string, below: Below): boolean {
  const stats = lstatSync(at);
  // another name of it may be new
  if (!stats.isDirectory() && stats.nlink > 1) return false;
  const found = below.tree.lookup(path);
  const own = found && entryAt(at, path, { owners: below.owners, stats });
  if (!own || !isSameEntry(own, found.entry)) return false;
  return !stats.isFile() || hasSameBytes(at, below.sourceOf(found));
}

/** Runs something that changes what is in a directory, and gives the directory its time back. */
export function keepTime(directory: string, change: () => void): void {
  const stats = lstatSync(directory, { throwIfNoEntry: false });
  change();
  if (stats) setPathTime(directory, Math.floor(stats.mtimeMs / 1000));
}

/** In all that a tar says of it but the bytes. */
function isSameEntry(one: RootEntry, other: RootEntry): boolean {
  const { xattrs, path: _, ...facts } = one;
  const { xattrs: otherXattrs, path: __, ...otherFacts } = other;
  return isSameRecord(facts, otherFacts) && isSameAttributes(xattrs, otherXattrs);
}

function isSameRecord(one: object, other: object): boolean {
  const [a, b] = [one, other].map((facts) => new Map<string, unknown>(Object.entries(facts)));
  return a?.size === b?.size && [...(a ?? [])].every(([name, value]) => b?.get(name) === value);
}

/** Missing is empty. */
export function isSameAttributes(one: RootEntry['xattrs'], other: RootEntry['xattrs']): boolean {
  const names = new Set([...(one?.keys() ?? []), ...(other?.keys() ?? [])]);
  return [...names].every((name) => {
    const [a, b] = [one?.get(name), other?.get(name)];
    return a !== undefined && b !== undefined && Buffer.compare(a, b) === 0;
  });
}

const CHUNK_BYTES = 1024 * 1024;

/** Of two regular files of one size. */
export function hasSameBytes(one: string, other: string): boolean {
  const files = [openSync(one, 'r'), openSync(other, 'r')] as const;
  const chunks = [Buffer.allocUnsafe(CHUNK_BYTES), Buffer.allocUnsafe(CHUNK_BYTES)] as const;
  try {
    for (let position = 0; ; ) {
      const read = readSync(files[0], chunks[0], 0, CHUNK_BYTES, position);
      if (readSync(files[1], chunks[1], 0, CHUNK_BYTES, position) !== read) return false;
      if (read === 0) return true;
      if (!chunks[0].subarray(0, read).equals(chunks[1].subarray(0, read))) return false;
      position += read;
    }
  } finally {
    for (const file of files) closeSync(file);
  }
}
