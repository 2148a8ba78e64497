import { createReadStream } from 'node:fs';
import { posix } from 'node:path';
import { BuildError } from '../errors.ts';
import { decodeTar, openIfArchive, type TarEntry } from '../layers/index.ts';
import { resolveInRoot } from './rootfs-path.ts';
import type { StagedView } from './staged-view.ts';
import type { Owner } from './users.ts';

type TarMembers = ReturnType<typeof decodeTar>;

/** A local archive that ADD unpacks: read once for its names, once for its bytes. */
export interface StagedArchive {
  /** By position in the archive; the paths are those in the image. */
  readonly entries: ReadonlyMap<number, TarEntry>;
  /** Opens it anew. */
  open(): TarMembers;
}

const MISSING_TARGET = 'The archive names a hard link before, or without, the file that it links to';

export interface ArchiveStaging {
  readonly staged: StagedView;
  /** --chown: takes the place of the archive's owners. */
  readonly owner: Owner | undefined;
  readonly makeDirectory: (path: string) => void;
}

/**
 * Stages the entries of an archive below `destination` as `tar -x` in a chroot there would: links lead nowhere else,
 * what exists is replaced, directories are merged and take the archive's attributes. undefined: not an archive.
 */
export async function stageArchive(
  file: string,
  destination: string,
  { staged, owner, makeDirectory }: ArchiveStaging,
): Promise<StagedArchive | undefined> {
  const open = (): AsyncIterable<Uint8Array> => createReadStream(file);
  const first = await openIfArchive(open);
  if (first === undefined) return undefined;
  makeDirectory(destination);
  const entries = new Map<number, TarEntry>();
  let ordinal = 0;
  for await (const { entry, body } of decodeTar(first)) {
    for await (const _ of body) {
      // only the names are wanted now
    }
    const placed = place(owner ? { ...entry, ...owner } : entry, destination, staged);
    if (placed !== undefined) entries.set(ordinal, placed);
    ordinal++;
  }
  return { entries, open: () => reopen(open) };
}

async function* reopen(open: () => AsyncIterable<Uint8Array>): TarMembers {
  const tar = await openIfArchive(open);
  if (tar !== undefined) yield* decodeTar(tar);
}

function place(entry: TarEntry, destination: string, staged: StagedView): TarEntry | undefined {
  const target = targetOf(entry.path, destination, staged);
  if (target === undefined) return placeRoot(entry, destination, staged);
  const fresh = { uid: 0, gid: 0, mtime: entry.mtime };
  const parent = posix.dirname(target);
  if (!staged.stageDirectory(parent, fresh)) {
    throw new BuildError('E_BAD_ARCHIVE', `Cannot unpack "${entry.path}": "${parent}" is not a directory`, {
      hint: 'The archive or the image has a file where the archive needs a directory',
    });
  }
  const placed: TarEntry = { ...entry, path: target.slice(1), mtime: Math.floor(entry.mtime) };
  if (placed.type === 'hardlink' && entry.type === 'hardlink') {
    const linked = targetOf(entry.linkname, destination, staged);
    if (linked === undefined || staged.lstat(linked) === undefined) {
      throw new BuildError('E_BAD_ARCHIVE', `Cannot unpack "${entry.path}": no file "${entry.linkname}" to link to`, {
        hint: MISSING_TARGET,
      });
    }
    const link: TarEntry = { ...placed, linkname: linked.slice(1) };
    staged.stage(target, link);
    return link;
  }
  staged.stage(target, placed);
  return placed;
}

/** The archive's own root gives the destination its attributes; a file without a name is passed over, as tar does. */
function placeRoot(entry: TarEntry, destination: string, staged: StagedView): TarEntry | undefined {
  if (entry.type !== 'directory' || destination === '/') return undefined;
  const placed: TarEntry = { ...entry, path: destination.slice(1), mtime: Math.floor(entry.mtime) };
  staged.stage(destination, placed);
  return placed;
}

/** The parent's links are followed inside the destination; the name itself is not. */
function targetOf(path: string, destination: string, staged: StagedView): string | undefined {
  const clean = posix.join('/', path);
  if (clean === '/') return undefined;
  const parent = resolveInRoot(staged, posix.dirname(clean), destination).path;
  return posix.join(parent, posix.basename(clean));
}
