import { chmodSync, closeSync, constants, fstatSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { BuildError, systemErrorCode } from '../../errors.ts';
import { type FileOwnerIds, giveTo, type Owners, openat2, RESOLVE_IN_ROOT } from '../../layers/index.ts';
import { mountRoot } from './root-mount.ts';
import { ensurePlace, type Place, type PlaceKind } from './root-paths.ts';
import type { ProcessMount } from './sandbox.ts';
import { STAGED } from './staging.ts';
import type { Stubs } from './stubs.ts';
import { chdir, cloneTree, MS, mount, moveMount, O_PATH, setReadOnly } from './syscalls.ts';

type Of<Kind extends ProcessMount['kind']> = Extract<ProcessMount, { kind: Kind }>;

/**
 * Mounts what a step asks for over its root, parents before what lies in them. Every source and target is opened once, inside
 * its root, and then mounted by its descriptor: nobody can put a link in between.
 */
export function attachMounts(mounts: readonly ProcessMount[], owners: Owners): Stubs {
  if (mounts.length === 0) return { mounted: [], created: [] };
  mkdirSync(STAGED.mounts);
  // no name sorts before the parent that it begins with
  const sorted = mounts.toSorted((a, b) => (a.target < b.target ? -1 : a.target > b.target ? 1 : 0));
  const places = sorted.map((wanted, index) => attachOne(wanted, { staging: `${STAGED.mounts}/${index}`, owners }));
  // what was there already is covered only, and stays in the layer as it is
  const made = places.flatMap(({ path, created }) => (created.includes(path) ? [path] : []));
  return { mounted: made, created: places.flatMap(({ created }) => created) };
}

interface Making {
  readonly staging: string;
  readonly owners: Owners;
}

function attachOne(wanted: ProcessMount, making: Making): Place {
  const { target } = wanted;
  try {
    mkdirSync(making.staging);
    const tree = openTree(wanted, making);
    try {
      return attach(tree, target);
    } finally {
      closeSync(tree);
    }
  } catch (cause) {
    if (!(cause instanceof BuildError)) throw cause;
    throw new BuildError(cause.code, cause.message, { hint: cause.hint, fields: { target }, cause });
  }
}

function attach(tree: number, target: string): Place {
  const kind: PlaceKind = fstatSync(tree).isDirectory() ? 'directory' : 'file';
  const place = openTarget(target, kind);
  try {
    if (place.path === '/' || place.path === '/proc' || place.path.startsWith('/proc/')) {
      throw refused(target, `a link in the image leads to "${place.path}"`, 'Choose another target');
    }
    moveMount(tree, place.fd);
    return place;
  } finally {
    closeSync(place.fd);
  }
}

const refused = (target: string, reason: string, hint: string): BuildError =>
  new BuildError('E_SANDBOX', `Cannot mount at "${target}": ${reason}`, { hint });

function openTarget(target: string, kind: PlaceKind): Place {
  try {
    return ensurePlace(STAGED.root, target, { kind });
  } catch (error) {
    const code = systemErrorCode(error instanceof BuildError ? (error.cause ?? error) : error);
    if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM') {
      const hint = 'Choose another target, or make the outer mount writable with rw';
      throw refused(target, 'it lies in something read-only that does not have it', hint);
    }
    if (code === 'ENOTDIR') throw refused(target, 'a file is in the way', 'Choose another target');
    if (!(error instanceof BuildError) || error.fields.found === undefined) throw error;
    const reason = `there is a ${error.fields.found}, and what is to be mounted is a ${kind}`;
    throw refused(target, reason, 'Choose another target or source');
  }
}

/** A detached mount, to be closed by the caller. */
function openTree(wanted: ProcessMount, making: Making): number {
  const { staging } = making;
  switch (wanted.kind) {
    case 'tree':
      return openSource(wanted, staging);
    case 'tmpfs':
      return openTmpfs(wanted, staging);
    case 'secret':
      return openSecret(wanted, making);
    case 'socket':
      return cloneTree(wanted.path);
    default:
      return wanted satisfies never;
  }
}

function openSource({ root, source, readOnly, description }: Of<'tree'>, staging: string): number {
  const target = `${staging}/root`;
  mkdirSync(target);
  mountRoot(root, { target, links: `${staging}/lower` });
  chdir('/');
  const rootFd = openSync(target, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const place = openat2(rootFd, source, { flags: O_PATH, resolve: RESOLVE_IN_ROOT });
    try {
      const tree = cloneTree(place);
      if (readOnly) setReadOnly(tree);
      return tree;
    } finally {
      closeSync(place);
    }
  } catch (cause) {
    const code = systemErrorCode(cause);
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP') throw cause;
    throw new BuildError('E_NOT_IN_CONTEXT', `Cannot mount "${source}": there is no such path in ${description}`, {
      hint: "Check the mount's source; it is a path in what from= names",
      cause,
    });
  } finally {
    closeSync(rootFd);
  }
}

function openTmpfs({ sizeBytes, readOnly }: Of<'tmpfs'>, staging: string): number {
  const data = sizeBytes === undefined ? {} : { data: `size=${sizeBytes}` };
  mount({ source: 'tmpfs', target: staging, type: 'tmpfs', flags: MS.noSuid, ...data });
  const tree = cloneTree(staging);
  if (readOnly) setReadOnly(tree);
  return tree;
}

/** ramfs is never swapped out; what it cannot do here, tmpfs can. */
function openSecret({ content, mode, uid, gid }: Of<'secret'>, { staging, owners }: Making): number {
  const flags = MS.noSuid | MS.noDev | MS.noExec;
  try {
    mount({ source: 'ramfs', target: staging, type: 'ramfs', flags, data: 'mode=700' });
  } catch {
    mount({ source: 'tmpfs', target: staging, type: 'tmpfs', flags, data: 'mode=700' });
  }
  const file = `${staging}/secret`;
  writeFileSync(file, content, { mode: 0o600 });
  giveSecret(file, { uid, gid }, owners);
  chmodSync(file, mode);
  const tree = cloneTree(file);
  setReadOnly(tree);
  return tree;
}

function giveSecret(file: string, { uid, gid }: FileOwnerIds, owners: Owners): void {
  try {
    giveTo(file, { uid, gid }, owners);
  } catch (cause) {
    if (systemErrorCode(cause) !== 'EINVAL') throw cause;
    throw new BuildError('E_ID_NOT_MAPPED', `Cannot give a secret to ${uid}:${gid}: this build has no such id`, {
      hint: 'Use a smaller id, or give your user more ids in /etc/subuid and /etc/subgid',
      cause,
    });
  }
}
