import { closeSync, fstatSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BuildError } from '../errors.ts';
import { type CacheKey, hexOf } from '../oci/index.ts';
import { tryLock } from './sandbox/index.ts';

export interface StepLock extends Disposable {
  /** Somebody else ran the step meanwhile: its result may be there now. */
  readonly hasWaited: boolean;
}

export interface LockOptions {
  readonly signal: AbortSignal;
  /** Called once, when somebody else runs the step for longer than a moment. */
  readonly onWait: () => void;
}

const FIRST_POLL_MS = 5;
const LAST_POLL_MS = 100;
const PATIENCE_MS = 1000;

/**
 * Lets a step run once at a time on a state directory, by flock(2) on a file that is named by its cache key. Whoever waits
 * finds the result in the cache, or, where the other failed or was killed (the lock ends with the process), runs the step.
 */
export class StepLocks {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async take(key: CacheKey, { signal, onWait }: LockOptions): Promise<StepLock> {
    const start = performance.now();
    const path = join(this.#root, hexOf(key));
    let isTold = false;
    for (let wait = FIRST_POLL_MS, hasWaited = false; ; wait = Math.min(2 * wait, LAST_POLL_MS), hasWaited = true) {
      const fd = this.#tryLock(path);
      if (fd !== undefined) return { hasWaited, [Symbol.dispose]: () => release(path, fd) };
      if (!isTold && performance.now() - start > PATIENCE_MS) {
        isTold = true;
        onWait();
      }
      await sleep(wait);
      signal.throwIfAborted();
    }
  }

  /** undefined: somebody else has it. Its holder removes the file: then this is the lock of a file without a name. */
  #tryLock(path: string): number | undefined {
    for (;;) {
      const fd = this.#open(path);
      try {
        if (!tryLock(fd, 'exclusive')) {
          closeSync(fd);
          return undefined;
        }
        if (statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino) return fd;
      } catch (cause) {
        closeSync(fd);
        throw failure(path, cause);
      }
      closeSync(fd);
    }
  }

  #open(path: string): number {
    try {
      mkdirSync(this.#root, { recursive: true, mode: 0o700 });
      return openSync(path, 'a', 0o600);
    } catch (cause) {
      throw failure(path, cause);
    }
  }
}

/** Removed first: who opened it meanwhile sees that it has no name any more. */
function release(path: string, fd: number): void {
  rmSync(path, { force: true });
  closeSync(fd);
}

const failure = (path: string, cause: unknown): BuildError =>
  new BuildError('E_STORE', `Cannot lock a step with "${path}"`, {
    hint: 'Keep the state directory on a filesystem with locks, with --root',
    cause,
  });
