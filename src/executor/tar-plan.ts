import { readSync } from 'node:fs';
import { BuildError } from '../errors.ts';
import { closeRead, encodeHeader, extentsOf, paddingAfter, TAR_END, type TarEntry } from '../layers/index.ts';
import { type MtimeRule, mtimeChanges } from '../oci/index.ts';
import type { StagedArchive, StagedMember } from './archive-source.ts';
import { Batch } from './batch.ts';
import { PIECE_BYTES, PieceCrcs, type TarBody } from './body-record.ts';
import type { ChunkPool } from './chunk-pool.ts';
import type { CopyReuse } from './copy-reuse.ts';
import type { EarlierTar } from './earlier-tar.ts';
import type { StagedView } from './staged-view.ts';
import { changedMeanwhile, openUnchanged, requireUnchanged, type SeenFile } from './unchanged-file.ts';

/** Where a file's bytes come from. */
export type Body = ({ readonly type: 'host' } & SeenFile) | { readonly type: 'bytes'; readonly bytes: Uint8Array };

/** Everything that a COPY's layer will hold, before a byte of it is written. */
export interface TarPlan {
  readonly staged: StagedView;
  /** By absolute path in the image. */
  readonly bodies: Map<string, Body>;
  /** Archives that ADD unpacks: their entries follow the sorted ones, in the archives' order. */
  readonly archives: StagedArchive[];
  readonly mtimeRule: MtimeRule | undefined;
  readonly reuse?: CopyReuse | undefined;
  /** Is told where the entries lie. */
  readonly members?: MemberPlaces | undefined;
  /** Where chunks come from; whoever takes the tar gives them back. */
  readonly chunks?: ChunkPool | undefined;
}

/** Where the members of a tar lie, each with its header and padding. */
export class MemberPlaces {
  /** By absolute path in the image; offsets of the first byte and behind the last. */
  readonly places = new Map<string, readonly [start: number, end: number]>();
  /** A member says something of another one. */
  areLinked = false;
}

/** Sorted by path, then the archives' entries; deterministic. */
export async function* writeTar(plan: TarPlan): AsyncIterable<Uint8Array> {
  const { reuse } = plan;
  const batch = new Batch(plan.chunks);
  const fromArchives = new Set<TarEntry>(
    plan.archives.flatMap(({ members }) => [...members.values()].map(({ entry }) => entry)),
  );
  const inodes = new Map<string, string>();
  for (const [path, entry] of plan.staged.entries()) {
    if (fromArchives.has(entry)) continue;
    const body = plan.bodies.get(path);
    const linked = hardlinkOf(entry, body, inodes);
    const start = batch.position;
    batch.add(encodeHeader(ruled(linked ?? entry, plan.mtimeRule)));
    if (linked === undefined && entry.type === 'file' && body !== undefined)
      yield* writeBody(batch, entry.size, { body, reuse });
    plan.members?.places.set(path, [start, batch.position]);
    if (plan.members && linked) plan.members.areLinked = true;
    if (batch.isFull) yield* batch.take();
  }
  for (const archive of plan.archives) yield* writeArchive(batch, archive, plan);
  batch.add(TAR_END);
  yield* batch.rest();
}

export const ruled = (entry: TarEntry, rule: MtimeRule | undefined): TarEntry =>
  mtimeChanges(entry.mtime, rule) ? { ...entry, mtime: rule.seconds } : entry;

/** The second and later names of an inode, in path order. */
function hardlinkOf(entry: TarEntry, body: Body | undefined, inodes: Map<string, string>): TarEntry | undefined {
  if (entry.type !== 'file' || body?.type !== 'host' || body.stat.nlink < 2) return undefined;
  const { inode } = body.stat;
  const first = inodes.get(inode);
  if (first === undefined) {
    inodes.set(inode, entry.path);
    return undefined;
  }
  const { size: _, ...rest } = entry;
  return { ...rest, type: 'hardlink', linkname: first };
}

interface BodySource {
  readonly body: Body;
  readonly reuse: CopyReuse | undefined;
}

function* writeBody(batch: Batch, size: number, { body, reuse }: BodySource): Iterable<Uint8Array> {
  if (body.type === 'bytes') batch.add(body.bytes);
  else {
    const sha256 = reuse?.hashOf(body);
    if (reuse === undefined || sha256 === undefined) yield* readHost(batch, size, { seen: body });
    else if (size > 0) yield* writeKnown(batch, size, { seen: body, reuse, sha256 });
  }
  batch.add(paddingAfter(size));
}

interface Known {
  readonly seen: SeenFile;
  readonly reuse: CopyReuse;
  readonly sha256: string;
}

/** A file whose sha256 is known: from the earlier tar, as far as that has it. */
function* writeKnown(batch: Batch, size: number, { seen, reuse, sha256 }: Known): Iterable<Uint8Array> {
  const { recorder, earlier } = reuse;
  const offset = batch.position;
  const body = earlier?.find(sha256, size);
  const from = earlier && body ? yield* takeEarlier(batch, body, earlier) : 0;
  const crcs = recorder && from < size ? new PieceCrcs() : undefined;
  if (from < size) yield* readHost(batch, size, { seen, from, crcs });
  const taken = body?.crcs.slice(0, from / PIECE_BYTES) ?? [];
  recorder?.add(sha256, { offset, size, crcs: from < size ? [...taken, ...(crcs?.values ?? [])] : (body?.crcs ?? []) });
}

/** Returns how many of the file's bytes it gave: all, or some whole pieces. */
function* takeEarlier(batch: Batch, body: TarBody, earlier: EarlierTar): Generator<Uint8Array, number> {
  for (let piece = 0; piece < body.crcs.length; piece++) {
    const bytes = earlier.read(body, piece);
    if (bytes === undefined) return piece * PIECE_BYTES;
    batch.add(bytes);
    if (batch.isFull) yield* batch.take();
  }
  return body.size;
}

interface HostBytes {
  readonly seen: SeenFile;
  /** Default: 0. */
  readonly from?: number;
  /** Gets what is read. */
  readonly crcs?: PieceCrcs | undefined;
}

/** Throws `E_CONTEXT` where the file is no longer the one that was seen. */
export function* readHost(batch: Batch, size: number, { seen, from = 0, crcs }: HostBytes): Iterable<Uint8Array> {
  const fd = openUnchanged(seen);
  try {
    let at = from;
    for (const { end, isHole } of extentsOf(fd, size)) {
      while (at < end) {
        const space = batch.space();
        const wanted = Math.min(end - at, space.byteLength);
        const n = isHole ? fillZeros(space, wanted) : readSync(fd, space, 0, wanted, at);
        if (n === 0) throw changedMeanwhile(seen.file);
        at += n;
        crcs?.add(space.subarray(0, n));
        batch.advance(n);
        if (batch.isFull) yield* batch.take();
      }
    }
    requireUnchanged(fd, seen);
  } finally {
    closeRead(fd);
  }
}

const fillZeros = (space: Uint8Array, length: number): number => {
  space.fill(0, 0, length);
  return length;
};

/** Reads the archive again; an entry that was overwritten later is left out. */
async function* writeArchive(batch: Batch, archive: StagedArchive, plan: TarPlan): AsyncIterable<Uint8Array> {
  let ordinal = 0;
  for await (const { body } of archive.open()) {
    const member = archive.members.get(ordinal++);
    const entry = member !== undefined && plan.staged.holds(member.entry) ? member.entry : undefined;
    if (member && entry) {
      requireTarget(member, plan.staged);
      batch.add(encodeHeader(ruled(entry, plan.mtimeRule)));
    }
    for await (const chunk of body) {
      if (entry === undefined) continue;
      batch.add(chunk);
      if (batch.isFull) yield* batch.take();
    }
    if (entry?.type === 'file') batch.add(paddingAfter(entry.size));
    if (batch.isFull) yield* batch.take();
  }
}

/** A link to a file whose name was given to another file meanwhile would be a link to that one. */
function requireTarget({ entry, target }: StagedMember, staged: StagedView): void {
  if (entry.type !== 'hardlink' || staged.stagedAt(`/${entry.linkname}`) === target) return;
  throw new BuildError(
    'E_BAD_ARCHIVE',
    `Cannot unpack "${entry.path}": it links to "${entry.linkname}", which is replaced`,
    {
      hint: 'Write the archive anew, with each name once, or unpack it with an instruction of its own',
    },
  );
}
