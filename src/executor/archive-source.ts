import { createReadStream } from 'node:fs';
import { posix } from 'node:path';
import { BuildError } from '../errors.ts';
import { closeRead, decodeTar, openIfArchive, type TarEntry } from '../layers/index.ts';
import { resolveInRoot } from './rootfs-path.ts';
import type { StagedView } from './staged-view.ts';
import { openUnchanged, type SeenFile } from './unchanged-file.ts';
import type { Owner } from './users.ts';

type TarMembers = ReturnType<typeof decodeTar>;

export interface StagedMember {
  /** The path is that in the image. */
  readonly entry: TarEntry;
  /** Of a hard link: what was staged under the name that it links to; undefined: that is a file of the layers below. */
  readonly target?: TarEntry | undefined;
}

/** A local archive that ADD unpacks: read once for its names, once for its bytes. */
export interface StagedArchive {
  /** By position in the archive. */
  readonly members: ReadonlyMap<number, StagedMember>;
  /** Opens it anew. */
  open(): TarMembers;
}

export interface ArchiveStaging {
  readonly staged: StagedView;
  /** --chown: takes the place of the archive's owners. */
  readonly owner: Owner | undefined;
  readonly makeDirectory: (path: string) => void;
}

/**
 * Stages the entries of an archive below `destination` as `tar -x` in a chroot there would: links lead nowhere else,
 * what exists is replaced, directories are merged and take the archive's attributes. undefined: not an archive.
 * Throws `E_BAD_ARCHIVE`.
 */
export async function stageArchive(
  seen: SeenFile,
  destination: string,
  { staged, owner, makeDirectory }: ArchiveStaging,
): Promise<StagedArchive | undefined> {
  const bytes = (): AsyncIterable<Uint8Array> => createReadStream('', { fd: openUnchanged(seen) });
  const tar = await openIfArchive(bytes);
  if (tar === undefined) return undefined;
  makeDirectory(destination);
  const members = new Map<number, StagedMember>();
  let ordinal = 0;
  for await (const { entry } of readArchive(tar, seen)) {
    const member = place(owner ? { ...entry, ...owner } : entry, destination, staged);
    if (member !== undefined) members.set(ordinal, member);
    ordinal++;
  }
  const open = async function* (): TarMembers {
    const again = await openIfArchive(bytes);
    if (again !== undefined) yield* readArchive(again, seen);
  };
  return { members, open };
}

async function* readArchive(tar: AsyncIterable<Uint8Array>, seen: SeenFile): TarMembers {
  try {
    yield* decodeTar(tar);
  } catch (cause) {
    if (!(cause instanceof BuildError && cause.code === 'E_BAD_LAYER')) throw cause;
    throw new BuildError('E_BAD_ARCHIVE', `Cannot unpack "${posix.basename(seen.file.path)}": ${cause.message}`, {
      hint: 'The archive is damaged or cut off; to copy it as a file, use COPY',
      cause,
    });
  }
  closeRead(openUnchanged(seen));
}

function place(entry: TarEntry, destination: string, staged: StagedView): StagedMember | undefined {
  const path = targetOf(entry.path, destination, staged);
  if (path === undefined) return placeRoot(entry, destination, staged);
  const parent = posix.dirname(path);
  if (!staged.stageDirectory(parent, { uid: 0, gid: 0, mtime: Math.floor(entry.mtime) })) {
    throw new BuildError('E_BAD_ARCHIVE', `Cannot unpack "${entry.path}": "${parent}" is not a directory`, {
      hint: 'The archive or the image has a file where the archive needs a directory',
    });
  }
  const placed: TarEntry = { ...entry, path: path.slice(1), mtime: Math.floor(entry.mtime) };
  const member = placed.type === 'hardlink' ? linkMember(placed, destination, staged) : { entry: placed };
  staged.stage(path, member.entry);
  return member;
}

type HardLink = Extract<TarEntry, { readonly type: 'hardlink' }>;

function linkMember(link: HardLink, destination: string, staged: StagedView): StagedMember {
  const linked = targetOf(link.linkname, destination, staged);
  const found = linked === undefined ? undefined : staged.lstat(linked);
  if (linked === undefined || found === undefined || found.type === 'directory') {
    throw new BuildError('E_BAD_ARCHIVE', `Cannot unpack "${link.path}": no file "${link.linkname}" to link to`, {
      hint: 'The archive names a hard link before, or without, the file that it links to',
    });
  }
  return { entry: { ...link, linkname: linked.slice(1) }, target: staged.stagedAt(linked) };
}

/** The archive's own root gives the destination its attributes; a file without a name is passed over, as tar does. */
function placeRoot(entry: TarEntry, destination: string, staged: StagedView): StagedMember | undefined {
  if (entry.type !== 'directory' || destination === '/') return undefined;
  const placed: TarEntry = { ...entry, path: destination.slice(1), mtime: Math.floor(entry.mtime) };
  staged.stage(destination, placed);
  return { entry: placed };
}

/** The parent's links are followed inside the destination; the name itself is not. */
function targetOf(path: string, destination: string, staged: StagedView): string | undefined {
  const clean = posix.join('/', path);
  if (clean === '/') return undefined;
  const parent = resolveInRoot(staged, posix.dirname(clean), destination).path;
  return posix.join(parent, posix.basename(clean));
}
