import { closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync, readlinkSync, utimesSync } from 'node:fs';
import { BuildError, systemErrorCode } from '../../errors.ts';
import { O_NOFOLLOW, openBeneath } from './syscalls.ts';

/** path_resolution(7) */
const MAX_LINKS = 40;

export type PlaceKind = 'directory' | 'file';

export interface Place {
  /** Opened O_PATH; to be closed by the caller. */
  readonly fd: number;
  /** Absolute inside the root, links resolved. */
  readonly path: string;
  /** What had to be made for it, outermost first. */
  readonly created: readonly string[];
}

export interface PlaceOptions {
  readonly kind: PlaceKind;
  /** Called for each directory or file made. */
  readonly onCreate?: ((entry: { readonly fd: number; readonly path: string }) => void) | undefined;
}

/**
 * Opens a path inside a root that may be hostile, and makes what is missing. Links are followed by hand, each as if the root
 * were `/`; the kernel itself follows none, so no link can lead outside.
 */
export function ensurePlace(root: string, path: string, options: PlaceOptions): Place {
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return walk(rootFd, path, options);
  } finally {
    closeSync(rootFd);
  }
}

const split = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');
const join = (parts: readonly string[]): string => parts.join('/') || '.';

function walk(rootFd: number, path: string, { kind, onCreate }: PlaceOptions): Place {
  const rest = split(path);
  const created: string[] = [];
  let real: string[] = [];
  let links = 0;
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === '..') {
      real.pop();
      continue;
    }
    const wanted = rest.length === 0 ? kind : 'directory';
    const parent = openBeneath(rootFd, join(real));
    try {
      const next = lookupChild(rootFd, [...real, name]);
      if (next === undefined) {
        makeChild(`/proc/self/fd/${parent}`, name, wanted);
        real = [...real, name];
        created.push(`/${real.join('/')}`);
        if (onCreate) withPlace(rootFd, real, onCreate);
      } else if (next === 'link') {
        if (++links > MAX_LINKS) throw new BuildError('E_SANDBOX', `Cannot open "${path}" in the root: too many links`);
        const target = readlinkSync(`/proc/self/fd/${parent}/${name}`);
        if (target.startsWith('/')) real = [];
        rest.unshift(...split(target));
      } else {
        real = [...real, name];
      }
    } finally {
      closeSync(parent);
    }
  }
  return { fd: openKind(rootFd, real, kind), path: `/${real.join('/')}`, created };
}

function withPlace(rootFd: number, real: readonly string[], use: NonNullable<PlaceOptions['onCreate']>): void {
  const fd = openBeneath(rootFd, join(real));
  try {
    use({ fd, path: `/${real.join('/')}` });
  } finally {
    closeSync(fd);
  }
}

function lookupChild(rootFd: number, real: readonly string[]): 'link' | 'other' | undefined {
  try {
    const fd = openBeneath(rootFd, join(real));
    try {
      return fstatSync(fd).isSymbolicLink() ? 'link' : 'other';
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw new BuildError('E_SANDBOX', `Cannot open "/${real.join('/')}" in the root`, { cause: error });
  }
}

/** The parent keeps its times: a directory that only got a mount point has not changed. */
function makeChild(parent: string, name: string, kind: PlaceKind): void {
  const { atimeMs, mtimeMs } = lstatSync(`${parent}/.`);
  if (kind === 'directory') mkdirSync(`${parent}/${name}`, 0o755);
  else
    closeSync(
      openSync(`${parent}/${name}`, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | O_NOFOLLOW, 0o644),
    );
  utimesSync(parent, atimeMs / 1000, mtimeMs / 1000);
}

function openKind(rootFd: number, real: readonly string[], kind: PlaceKind): number {
  const fd = openBeneath(rootFd, join(real));
  const isDirectory = fstatSync(fd).isDirectory();
  if (isDirectory === (kind === 'directory')) return fd;
  closeSync(fd);
  const found = isDirectory ? 'a directory' : 'not a directory';
  throw new BuildError('E_SANDBOX', `Cannot use "/${real.join('/')}" in the root as a ${kind}: it is ${found}`, {
    hint: 'Fix the base image or the step that made it',
    fields: { found: isDirectory ? 'directory' : 'file' },
  });
}
