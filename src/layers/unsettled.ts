import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { systemErrorCode } from '../errors.ts';
import { syncFileSystem } from './syscalls.ts';

/**
 * A directory of a layer gets its name before its files are on the disk. Until they are, it holds the identity of the boot that
 * made it: in another one, after a power cut, nobody knows what became of them, and the directory is as good as none.
 */
const MARK = 'boot';

let known: { readonly id: string | undefined } | undefined;

/** Of the running kernel (random(4)); undefined: it is not told here. */
function bootId(): string | undefined {
  known ??= { id: readText('/proc/sys/kernel/random/boot_id')?.trim() };
  return known.id === '' ? undefined : known.id;
}

/** For a finished directory that has no name yet. Where boots cannot be told apart, all of it reaches the disk first. */
export function markUnsettled(directory: string): void {
  const id = bootId();
  if (id === undefined) syncFileSystem(directory);
  else writeFileSync(join(directory, MARK), id, { mode: 0o600 });
}

/** Not known to be on the disk. */
export const isUnsettled = (directory: string): boolean => existsSync(join(directory, MARK));

/** Left by another boot before it was on the disk. */
export function isFromLostBoot(directory: string): boolean {
  const mark = readText(join(directory, MARK));
  return mark !== undefined && mark !== bootId();
}

export interface Settling {
  /** What must be on the disk now. */
  readonly layers: readonly string[];
  /** What may get there with it. All lie on one file system. */
  readonly others: readonly string[];
}

/** Has layers on the disk, in a way that their names and this very fact are, too. Blocks; throws what the disk says. */
export function settle({ layers, others }: Settling): void {
  if (layers.length > 0 && syncFewFiles(layers)) return unmark(layers);
  const all = [...layers, ...others];
  const [first] = all;
  if (first === undefined) return;
  syncFileSystem(first);
  unmark(all);
}

function unmark(layers: readonly string[]): void {
  for (const parent of new Set(layers.map((layer) => dirname(layer)))) sync(parent);
  for (const layer of layers) {
    rmSync(join(layer, MARK), { force: true });
    sync(layer);
  }
}

/** More are not synced one by one: each may wait for the disk. */
const MOST_ENTRIES = 100;
/**
 * `f_type` of ext2 to ext4 and XFS (statfs(2)): a sync of one file writes the journal, with it all that was done to any name before.
 */
const JOURNALS: ReadonlySet<number> = new Set([0xef53, 0x58465342]);

/** false: nothing is sure, the whole file system has to be synced. */
function syncFewFiles(layers: readonly string[]): boolean {
  const files: string[] = [];
  const pending = [...layers];
  let entries = 0;
  try {
    if (!layers.every((layer) => JOURNALS.has(statfsSync(layer).type))) return false;
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      for (const entry of readdirSync(path, { withFileTypes: true })) {
        if (++entries > MOST_ENTRIES) return false;
        if (entry.isDirectory()) pending.push(join(path, entry.name));
        else if (entry.isFile()) files.push(join(path, entry.name));
      }
    }
    for (const path of [...files, ...layers]) sync(path);
    return true;
  } catch (error) {
    // outside of the namespace the files of sub-ids are somebody else's
    if (systemErrorCode(error) === 'EACCES') return false;
    throw error;
  }
}

function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** undefined: there is no such file. */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
