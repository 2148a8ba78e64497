import {
  chmodSync,
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BuildError, systemErrorCode } from '../errors.ts';
import { giveTo, type Owners } from '../layers/index.ts';
import { digestOf, hexOf } from '../oci/index.ts';
import { type FileOwner, tryLock } from './sandbox/index.ts';

/** A directory that outlives steps: `RUN --mount=type=cache`. */
export interface CacheRequest extends FileOwner {
  /** With its namespace. */
  readonly id: string;
  readonly sharing: 'shared' | 'private' | 'locked';
  /** What a new one starts with; another `name` is another cache. */
  readonly seed?: { readonly name: string; copyTo(directory: string): Promise<void> } | undefined;
}

/** A cache in use; nobody removes it until disposal. */
export interface CacheLease extends Disposable {
  readonly directory: string;
}

export interface CacheMountsOptions {
  /** The directory for all of them. */
  readonly root: string;
  readonly owners: Owners;
  /** A fresh directory on the same filesystem, which goes by itself when this process is killed. */
  readonly createActive: () => Promise<string>;
  readonly remove: (paths: readonly string[]) => Promise<void>;
  readonly measure: (path: string) => Promise<number>;
  /** Whether a step takes the directory away while it runs: then `shared` steps use it one after the other. */
  readonly isMoved?: () => boolean;
}

export interface TakeOptions {
  readonly signal: AbortSignal;
  /** Called once, when another step has the cache for longer than a moment. */
  readonly onWait: () => void;
}

const POLL_MS = 50;
const PATIENCE_MS = 1000;
const DATA = 'data';
const DEFAULT_MODE = 0o755;

/**
 * The caches of a state directory: `KEY/data` each, and beside it `KEY.lock`. Steps of this and of other processes agree by
 * flock(2), which ends with the process that holds it: `shared` steps lock it together, a `locked` one alone, and a
 * `private` one takes `KEY`, `KEY-1`, `KEY-2`, ..., whichever is free.
 */
export class CacheMounts {
  readonly #options: CacheMountsOptions;

  constructor(options: CacheMountsOptions) {
    this.#options = options;
  }

  /** A name for what is one cache, to take each once a step. Takers of several go by its order, so that none waits in a circle. */
  keyOf({ id, seed }: CacheRequest): string {
    return hexOf(digestOf(JSON.stringify([id, seed?.name ?? ''])));
  }

  async take(request: CacheRequest, options: TakeOptions): Promise<CacheLease> {
    const key = this.keyOf(request);
    mkdirSync(this.#options.root, { recursive: true, mode: 0o700 });
    const { name, fd } = await this.#lock(key, this.#sharingOf(request), options);
    try {
      const directory = join(this.#options.root, name, DATA);
      if (!isThere(directory)) await this.#make(name, request);
      return { directory, [Symbol.dispose]: () => closeSync(fd) };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Removes every cache that no step uses. Only inside the namespace, or as root. */
  async prune({
    dryRun,
  }: {
    readonly dryRun: boolean;
  }): Promise<{ readonly removed: number; readonly freedBytes: number }> {
    let [removed, freedBytes] = [0, 0];
    for (const name of namesIn(this.#options.root)) {
      if (name.endsWith(LOCK)) continue;
      const fd = this.#tryLock(name, 'exclusive');
      if (fd === undefined) continue;
      try {
        freedBytes += await this.#options.measure(join(this.#options.root, name));
        removed++;
        if (!dryRun) await this.#remove(name);
      } finally {
        closeSync(fd);
      }
    }
    return { removed, freedBytes };
  }

  async #remove(name: string): Promise<void> {
    const away = await this.#options.createActive();
    renameSync(join(this.#options.root, name), join(away, name));
    rmSync(this.#lockFile(name));
    await this.#options.remove([away]);
  }

  async #lock(
    key: string,
    sharing: CacheRequest['sharing'],
    { signal, onWait }: TakeOptions,
  ): Promise<{ readonly name: string; readonly fd: number }> {
    const start = performance.now();
    let isTold = false;
    for (let attempt = 0; ; attempt++) {
      const name = sharing === 'private' && attempt > 0 ? `${key}-${attempt}` : key;
      const fd = this.#tryLock(name, sharing === 'shared' ? 'shared' : 'exclusive');
      if (fd !== undefined) return { name, fd };
      if (sharing === 'private') continue;
      if (!isTold && performance.now() - start > PATIENCE_MS) {
        isTold = true;
        onWait();
      }
      await sleep(POLL_MS);
      signal.throwIfAborted();
    }
  }

  #sharingOf({ sharing }: CacheRequest): CacheRequest['sharing'] {
    return sharing === 'shared' && this.#options.isMoved?.() === true ? 'locked' : sharing;
  }

  readonly #lockFile = (name: string): string => join(this.#options.root, `${name}${LOCK}`);

  /** undefined: somebody else has it. Whoever removes a cache removes its lock file too: then it is another file's lock. */
  #tryLock(name: string, kind: 'shared' | 'exclusive'): number | undefined {
    const path = this.#lockFile(name);
    for (;;) {
      const fd = openSync(path, 'a', 0o600);
      try {
        if (!tryLock(fd, kind)) {
          closeSync(fd);
          return undefined;
        }
        if (statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino) return fd;
      } catch (cause) {
        closeSync(fd);
        throw new BuildError('E_STORE', `Cannot lock the cache "${path}"`, {
          hint: 'Keep the state directory on a filesystem with locks, with --root',
          cause,
        });
      }
      closeSync(fd);
    }
  }

  /** Whole or not at all; of two that make it at once the first wins. */
  async #make(name: string, { seed, mode, uid, gid }: CacheRequest): Promise<void> {
    const active = await this.#options.createActive();
    try {
      const data = join(active, DATA);
      if (seed) await seed.copyTo(data);
      else mkdirSync(data);
      // what it starts with keeps its own owner where the mount names none
      if (!seed || uid !== 0 || gid !== 0) giveTo(data, { uid, gid }, this.#options.owners);
      if (!seed || mode !== DEFAULT_MODE) chmodSync(data, mode);
      renameSync(active, join(this.#options.root, name));
    } catch (error) {
      await this.#options.remove([active]);
      const code = systemErrorCode(error);
      if (code === 'ENOTEMPTY' || code === 'EEXIST') return;
      if (code !== 'EINVAL') throw error;
      throw new BuildError('E_ID_NOT_MAPPED', `Cannot give a cache to ${uid}:${gid}: this build has no such id`, {
        hint: 'Use a smaller id, or give your user more ids in /etc/subuid and /etc/subgid',
        cause: error,
      });
    }
  }
}

const LOCK = '.lock';

const isThere = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
