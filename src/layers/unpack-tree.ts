import { lstatSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { FlatEntry } from './flatten.ts';
import type { LayerWorkers } from './layer-workers.ts';
import { encodeTarStream, type TarMember } from './tar/index.ts';

export interface UnpackOptions {
  readonly workers: LayerWorkers;
  /** Absent: the entries' own owners (only root can). */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/**
 * Writes a root filesystem (without whiteouts) into a directory of the user's, merging it with what is there: unpacked
 * beside, then moved, so that a failure leaves the directory as it was.
 */
export async function unpackTree(
  entries: AsyncIterable<FlatEntry>,
  directory: string,
  { workers, owner }: UnpackOptions,
): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const made = mkdtempSync(join(directory, '.partial-'));
  try {
    await workers.feed({ kind: 'apply', directory: made, owners: 'real' }, encodeTarStream(members(entries, owner)));
    moveInto(made, directory);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

async function* members(entries: AsyncIterable<FlatEntry>, owner: UnpackOptions['owner']): AsyncIterable<TarMember> {
  for await (const { entry, body } of entries) {
    const owned = owner ? { ...entry, ...owner } : entry;
    yield owned.type === 'file' ? { entry: owned, body } : { entry: owned };
  }
}

function moveInto(from: string, to: string): void {
  for (const name of readdirSync(from)) {
    const source = join(from, name);
    const target = join(to, name);
    const there = lstatSync(target, { throwIfNoEntry: false });
    if (there?.isDirectory() && lstatSync(source).isDirectory()) {
      moveInto(source, target);
      continue;
    }
    if (there) rmSync(target, { recursive: true });
    renameSync(source, target);
  }
}
