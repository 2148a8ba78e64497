import { posix } from 'node:path';
import { BuildError } from '../errors.ts';
import { type CopyOp, type ModeChange, type PendingDirectory, parseChmod } from '../graph/index.ts';
import type { RootEntry, RootView, TarEntry } from '../layers/index.ts';
import type { MtimeRule } from '../oci/index.ts';
import { hasWildcard } from '../parser/index.ts';
import { stageArchive } from './archive-source.ts';
import type { ChunkPool } from './chunk-pool.ts';
import type { CopyReuse } from './copy-reuse.ts';
import { hostEntry } from './host-entry.ts';
import { resolveInRoot } from './rootfs-path.ts';
import type { PathSelection, SelectedSource } from './selected-source.ts';
import type { SourceRoot } from './source-root.ts';
import type { SourceEntry } from './source-walk.ts';
import { type StagedEntry, StagedView } from './staged-view.ts';
import { type Body, type TarPlan, writeTar } from './tar-plan.ts';
import type { TarRecording } from './tar-recording.ts';
import { type Owner, resolveOwner, resolveUser } from './users.ts';

export interface CopyRequest {
  readonly op: CopyOp;
  readonly sources: readonly SelectedSource[];
  /** What is there already. */
  readonly view: RootView;
  /** Seconds; for heredoc files: the Containerfile's own time. */
  readonly inlineMtime: number;
  readonly mtimeRule?: MtimeRule | undefined;
  readonly reuse?: CopyReuse | undefined;
  readonly chunks?: ChunkPool | undefined;
  /** Is told of a copy of one directory, and where its files come to lie. */
  readonly recording?: Pick<TarRecording, 'members' | 'copiesTo'> | undefined;
  /** Told of what the copy takes away. */
  readonly warn?: ((message: string, hint: string) => void) | undefined;
}

interface CopyState {
  readonly request: CopyRequest;
  readonly staged: StagedView;
  readonly plan: TarPlan;
  readonly owner: Owner | undefined;
  readonly chmod: ModeChange | undefined;
  /** For directories that COPY makes: the newest source's time, so that equal sources give equal bytes. */
  readonly freshMtime: number;
}

/** The layer of a COPY or ADD as a tar, written straight from its sources. */
export async function copyLayer(request: CopyRequest): Promise<AsyncIterable<Uint8Array>> {
  const { op, view, sources } = request;
  const staged = new StagedView(view);
  const state: CopyState = {
    request,
    staged,
    plan: {
      staged,
      bodies: new Map(),
      archives: [],
      mtimeRule: request.mtimeRule,
      reuse: request.reuse,
      chunks: request.chunks,
      members: request.recording?.members,
    },
    owner: op.chown === undefined ? undefined : await resolveOwner(view, op.chown),
    chmod: op.chmod === undefined ? undefined : parseChmod(op.chmod),
    freshMtime: Math.max(0, ...sources.map((source) => newestMtime(source, request.inlineMtime))),
  };
  await stagePending(staged, op.pending);
  for (const source of sources) await stageSource(state, source);
  return writeTar(state.plan);
}

/** A layer of the directories that WORKDIR promised; undefined when all of them exist. */
export async function directoriesLayer(
  view: RootView,
  pending: readonly PendingDirectory[],
  mtimeRule: MtimeRule | undefined,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const staged = new StagedView(view);
  const missing = pending.some(({ path }) => resolveInRoot(view, path).entry === undefined);
  if (!missing) return undefined;
  await stagePending(staged, pending);
  return writeTar({ staged, bodies: new Map(), archives: [], mtimeRule });
}

/** New directories belong to the USER of their WORKDIR and take the time of the directory that they are made in. */
async function stagePending(staged: StagedView, pending: readonly PendingDirectory[]): Promise<void> {
  for (const { path, user } of pending) {
    const target = resolveInRoot(staged, path);
    if (target.entry?.type === 'directory') continue;
    const { uid, gid } = await resolveUser(staged, user);
    if (!staged.stageDirectory(target.path, { uid, gid, mtime: nearestMtime(staged, target.path) })) {
      throw new BuildError('E_COPY_CONFLICT', `Cannot make the directory "${path}": a file is in the way`, {
        hint: 'Choose another WORKDIR, or remove the file in an earlier RUN',
      });
    }
  }
}

function nearestMtime(view: StagedView, path: string): number {
  for (let at = posix.dirname(path); ; at = posix.dirname(at)) {
    const entry = view.lstat(at);
    if (entry !== undefined) return entry.mtime;
    if (at === '/') return 0;
  }
}

function newestMtime(source: SelectedSource, inlineMtime: number): number {
  if (source.type === 'inline') return inlineMtime;
  const top = source.entries[0];
  return top === undefined ? 0 : top.stat.mtime;
}

const conflict = (message: string, hint: string): BuildError => new BuildError('E_COPY_CONFLICT', message, { hint });

async function stageSource(state: CopyState, source: SelectedSource): Promise<void> {
  try {
    if (source.type === 'directory') stageTree(state, source);
    else await stageFile(state, source);
  } catch (error) {
    throw error instanceof BuildError && source.type !== 'inline' ? error.at(source.range) : error;
  }
}

function makeDirectory(state: CopyState, path: string): void {
  const fresh = { ...(state.owner ?? { uid: 0, gid: 0 }), mtime: state.freshMtime };
  if (!state.staged.stageDirectory(path, fresh)) {
    const name = state.request.op.destination;
    throw conflict(
      `Cannot copy to "${name}": "${path}" exists in the image and is not a directory`,
      'Choose another destination, or remove the file in an earlier RUN',
    );
  }
}

interface Found {
  readonly entry: SourceEntry;
  readonly root: SourceRoot;
}

/** A directory's contents go into the destination, which keeps its own attributes where it exists. */
function stageTree(state: CopyState, { entries, root }: PathSelection): void {
  const { path: destination } = resolveInRoot(state.staged, state.request.op.destination);
  makeDirectory(state, destination);
  state.request.recording?.copiesTo({ path: destination, owner: state.owner });
  for (const entry of entries) {
    if (entry.relative !== '') stageEntry(state, { entry, root }, posix.join(destination, entry.relative));
  }
}

async function stageFile(state: CopyState, source: Exclude<SelectedSource, { type: 'directory' }>): Promise<void> {
  const { op } = state.request;
  const entry = source.type === 'inline' ? undefined : source.entries[0];
  if (source.type !== 'inline' && source.unpack && entry?.stat.isFile()) {
    const seen = { file: { root: source.root, path: entry.path }, stat: entry.stat };
    const destination = resolveInRoot(state.staged, op.destination).path;
    const archive = await stageArchive(seen, destination, {
      staged: state.staged,
      owner: state.owner,
      makeDirectory: (path) => makeDirectory(state, path),
    });
    if (archive) {
      state.plan.archives.push(archive);
      return;
    }
  }
  const target = fileTarget(state, source.name);
  makeDirectory(state, posix.dirname(target));
  if (source.type === 'inline') stageInline(state, source.content, target);
  else if (entry !== undefined) stageEntry(state, { entry, root: source.root }, target);
}

/** Where a single file goes: containerfile-reference 1.7, "Destination rules". */
function fileTarget(state: CopyState, name: string): string {
  const { op, sources } = state.request;
  const { path, entry } = resolveInRoot(state.staged, op.destination);
  if (op.destination.endsWith('/') || entry?.type === 'directory') return posix.join(path, name);
  // a pattern may match any number of files: several make the destination a directory (BuildKit overwrites all but one)
  const isPattern = op.sources.some((source) => source.type === 'path' && hasWildcard(source.path));
  if (sources.length > 1 && isPattern) return posix.join(path, name);
  if (sources.length > 1) {
    throw conflict(
      `Cannot copy ${sources.length} sources to "${op.destination}": it is not a directory`,
      `End the destination with "/" to make it a directory: "${op.destination}/"`,
    );
  }
  return path;
}

function stageInline(state: CopyState, content: string, target: string): void {
  const bytes = Buffer.from(content);
  const mode = state.chmod?.(0o644, false) ?? 0o644;
  const common = { path: target.slice(1), ...(state.owner ?? { uid: 0, gid: 0 }), mtime: state.request.inlineMtime };
  refuseDirectory(state.staged.lstat(target), target);
  state.staged.stage(target, { type: 'file', ...common, mode, size: bytes.byteLength });
  state.plan.bodies.set(target, { type: 'bytes', bytes });
}

/** A directory that is only on the way to what is copied: one that is there takes the mode, as in BuildKit, and keeps the rest. */
function onTheWay(state: CopyState, { stat }: SourceEntry, { made, target }: OnTheWay): TarEntry {
  const there = state.staged.lstat(target);
  if (there?.type !== 'directory') return made;
  return { ...there, path: made.path, mode: stat.mode & 0o7777 };
}

interface OnTheWay {
  readonly made: TarEntry;
  readonly target: string;
}

function refuseDirectory(there: RootEntry | undefined, target: string): void {
  if (there?.type === 'directory') {
    throw conflict(
      `Cannot replace the directory "${target}" by a file`,
      'Choose another destination, or remove the directory in an earlier RUN',
    );
  }
}

/**
 * A file and a directory never replace each other. A link and a directory do, as with buildah, kaniko and Docker's first
 * builder (BuildKit refuses): a warning says so, since a link like `/lib` may be what the image's programs need.
 */
function checkPlace(state: CopyState, staged: StagedEntry, target: string): void {
  const { warn } = state.request;
  const there = state.staged.lstat(target);
  if (staged.type === 'symlink' && there?.type === 'directory') {
    warn?.(
      `The link "${target}" replaces a directory of the image, and all that is in it`,
      'Copy to another path, or name it with --exclude, if the directory is to stay',
    );
    return;
  }
  if (staged.type !== 'directory') return refuseDirectory(there, target);
  if (there === undefined || there.type === 'directory') return;
  if (there.type === 'symlink') {
    warn?.(
      `The directory "${target}" replaces a link to "${there.linkname}" of the image`,
      'Copy to the path that the link leads to, if the link is to stay',
    );
    return;
  }
  throw conflict(
    `Cannot copy the directory to "${target}": it exists in the image and is not a directory`,
    'Choose another destination, or remove it in an earlier RUN',
  );
}

function stageEntry(state: CopyState, { entry, root }: Found, target: string): void {
  const { owner, chmod } = state;
  const made = hostEntry(root, entry, { target, owner, chmod });
  const staged = entry.isParent ? onTheWay(state, entry, { made, target }) : made;
  checkPlace(state, staged, target);
  state.staged.stage(target, staged);
  const body: Body | undefined =
    staged.type === 'file' ? { type: 'host', file: { root, path: entry.path }, stat: entry.stat } : undefined;
  if (body) state.plan.bodies.set(target, body);
  else state.plan.bodies.delete(target);
}
