import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmSync,
  type Stats,
  utimesSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { BuildError, systemErrorCode } from '../../errors.ts';
import { ensurePlace, type PlaceKind } from './root-paths.ts';
import { removeStubs } from './stubs.ts';
import { O_NOFOLLOW, O_PATH, openBeneath } from './syscalls.ts';

/** Something that stands in a root for the time of a step only. */
interface Placed {
  /** Opened O_PATH: it is found again by it, wherever the step has moved it. */
  readonly fd: number;
  readonly target: string;
  /** Where what it covers waits. */
  readonly covered: string | undefined;
  /** Where it goes afterwards, as it was before; undefined: it is thrown away. */
  readonly home: { readonly path: string; readonly stats: Stats } | undefined;
  readonly created: readonly string[];
  /** Names that it had before. */
  readonly links: number;
}

export interface PlaceRequest {
  /** Absolute; links are followed inside the root. */
  readonly target: string;
  /** On the filesystem of the root; it is moved away from there. */
  readonly source: string;
  /** It is moved back there when the step has ended, with what the step made of it. */
  readonly isReturned?: boolean;
}

/**
 * Instead of mounts: puts files and directories into a root and takes them out again. What is in the way waits in `stash`, a
 * directory on the same filesystem. No process may run in the root meanwhile; what the step has done to the root does no harm.
 */
export class Placements {
  readonly #root: string;
  readonly #stash: string;
  readonly #placed: Placed[] = [];
  readonly #paths: string[] = [];

  constructor(root: string, stash: string) {
    this.#root = root;
    this.#stash = stash;
    mkdirSync(stash, { mode: 0o700 });
  }

  /** Paths in the root that are not for the layer. */
  get paths(): readonly string[] {
    return this.#paths;
  }

  put({ target, source, isReturned = false }: PlaceRequest): void {
    const stats = lstatSync(source);
    const kind: PlaceKind = stats.isDirectory() ? 'directory' : 'file';
    const place = ensurePlace(this.#root, target, { kind, onCreate: setStubMode });
    closeSync(place.fd);
    const isNew = place.created.includes(place.path);
    const covered = isNew ? undefined : `${this.#stash}/covered-${this.#placed.length}`;
    this.#inParent(place.path, (at) => {
      if (covered !== undefined) renameSync(at, covered);
      move(source, at);
      const fd = openSync(at, O_PATH | O_NOFOLLOW);
      const home = isReturned ? { path: source, stats } : undefined;
      this.#placed.push({ fd, target, covered, home, created: place.created, links: stats.nlink });
      this.#paths.push(place.path);
    });
  }

  /** Takes everything out again, inner things first. Throws `E_SANDBOX` for a file that the step gave another name. */
  takeOut(): void {
    const failures: unknown[] = [];
    for (const placed of this.#placed.splice(0).reverse()) {
      try {
        this.#takeOne(placed);
      } catch (error) {
        failures.push(error);
      } finally {
        closeSync(placed.fd);
      }
    }
    rmSync(this.#stash, { recursive: true, force: true });
    if (failures.length > 0) throw failures[0];
  }

  #takeOne({ fd, target, covered, home, created, links }: Placed): void {
    const path = this.#currentPath(fd);
    if (path !== undefined) {
      this.#inParent(path, (at) => {
        if (home === undefined) rmSync(at, { recursive: true, force: true });
        else move(at, home.path);
        if (covered !== undefined) renameSync(covered, at);
      });
    }
    if (home !== undefined) ensureHome(home);
    removeStubs({ type: 'bind', source: this.#root }, created);
    const stats = fstatSync(fd);
    if (!stats.isDirectory() && home === undefined && stats.nlink > links - 1) throw kept(target);
  }

  /** Where in the root it is now; undefined: nowhere. */
  #currentPath(fd: number): string | undefined {
    const path = readlinkSync(`/proc/self/fd/${fd}`);
    if (!path.startsWith(`${this.#root}/`)) return undefined;
    const [there, own] = [lstatSync(path, { throwIfNoEntry: false }), fstatSync(fd)];
    return there?.ino === own.ino && there.dev === own.dev ? path.slice(this.#root.length) : undefined;
  }

  /** `path` has no links in it. The directory keeps its time. */
  #inParent(path: string, action: (at: string) => void): void {
    const rootFd = openSync(this.#root, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      const parent = openBeneath(rootFd, dirname(path).slice(1) || '.');
      try {
        const directory = `/proc/self/fd/${parent}`;
        const { atimeMs, mtimeMs } = lstatSync(`${directory}/.`);
        action(`${directory}/${basename(path)}`);
        utimesSync(directory, atimeMs / 1000, mtimeMs / 1000);
      } finally {
        closeSync(parent);
      }
    } finally {
      closeSync(rootFd);
    }
  }
}

/** As it would be with the umask of a step, whatever ours is. */
function setStubMode({ fd }: { readonly fd: number }): void {
  const place = `/proc/self/fd/${fd}`;
  chmodSync(place, fstatSync(fd).isDirectory() ? 0o755 : 0o644);
}

const kept = (target: string): BuildError =>
  new BuildError(
    'E_SANDBOX',
    `The step gave "${target}" another name with a hard link, which would keep it in the layer`,
    {
      hint: 'Copy the file instead of linking it',
      fields: { target },
    },
  );

/** A step may remove a directory here that it could only empty where it is mounted. */
function ensureHome({ path, stats: { mode, uid, gid } }: NonNullable<Placed['home']>): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
  mkdirSync(path);
  chownSync(path, uid, gid);
  chmodSync(path, mode & 0o7777);
}

/** By copy where the two are on different filesystems, or overlay cannot rename a directory of a lower layer. */
function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (systemErrorCode(error) !== 'EXDEV') throw error;
    rmSync(to, { recursive: true, force: true });
    copyTree(from, to);
    rmSync(from, { recursive: true, force: true });
  }
}

/** With owners, times, links and attributes; `to` must not exist. */
export function copyTree(from: string, to: string): void {
  execFileSync('cp', ['-a', '--', from, to], { stdio: ['ignore', 'ignore', 'pipe'] });
}
