import { link, lstat, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../errors.ts';
import { temporaryName } from './process-identity.ts';
import { storeError } from './store-error.ts';

export interface SweepOptions {
  /** Milliseconds since 1970; what is younger is in use. */
  readonly cutoff: number;
  readonly ingest: string;
  readonly dryRun: boolean;
}

interface Swept {
  readonly removed: number;
  readonly freedBytes: number;
}

/** Removes files that nobody uses, and counts. */
export class Sweep {
  readonly #options: SweepOptions;
  #removed = 0;
  #freedBytes = 0;

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  get dryRun(): boolean {
    return this.#options.dryRun;
  }

  /** Made or used since the cutoff. A missing path is not. */
  async isRecent(path: string): Promise<boolean> {
    const stats = await stat(path).catch(() => undefined);
    return stats !== undefined && Math.max(stats.mtimeMs, stats.ctimeMs) >= this.#options.cutoff;
  }

  /**
   * true: it is gone (or would be). The file is moved away first and looked at again: a process that marked it as used
   * did so before the move, which is seen then and undone, or finds no file and makes it anew.
   */
  async remove(path: string, counting: 'counted' | 'quiet'): Promise<boolean> {
    if (await this.isRecent(path)) return false;
    const away = join(this.#options.ingest, temporaryName());
    try {
      const { size } = await stat(path);
      if (!this.dryRun) {
        await rename(path, away);
        if ((await stat(away)).mtimeMs >= this.#options.cutoff) {
          await restore(away, path);
          return false;
        }
        await rm(away);
      }
      if (counting === 'counted') this.count(size);
      return true;
    } catch (cause) {
      // Another prune was faster.
      if (systemErrorCode(cause) === 'ENOENT') return true;
      throw storeError({ doing: 'remove an unused file', path }, cause);
    }
  }

  /** A file or directory that is fetched again when it is missing: whoever uses it marks it before. */
  async removeTree(path: string): Promise<void> {
    if (await this.isRecent(path)) return;
    try {
      const bytes = await sizeOf(path);
      if (!this.dryRun) {
        const away = join(this.#options.ingest, temporaryName());
        await rename(path, away);
        await rm(away, { recursive: true, force: true });
      }
      this.count(bytes);
    } catch (cause) {
      if (systemErrorCode(cause) !== 'ENOENT') throw storeError({ doing: 'remove what was fetched', path }, cause);
    }
  }

  count(bytes: number): void {
    this.#removed++;
    this.#freedBytes += bytes;
  }

  /** With what was removed elsewhere. */
  result(more: Swept = { removed: 0, freedBytes: 0 }): Swept {
    return { removed: this.#removed + more.removed, freedBytes: this.#freedBytes + more.freedBytes };
  }
}

/** Unless somebody has put a new file there meanwhile, which is as good. */
async function restore(away: string, path: string): Promise<void> {
  await link(away, path).catch((cause: unknown) => {
    if (systemErrorCode(cause) !== 'EEXIST') throw cause;
  });
  await rm(away);
}

/** Of the files in a tree. */
async function sizeOf(path: string): Promise<number> {
  const stats = await lstat(path);
  if (!stats.isDirectory()) return stats.size;
  let bytes = 0;
  for (const name of await readdir(path)) bytes += await sizeOf(join(path, name));
  return bytes;
}
