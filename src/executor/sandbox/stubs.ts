import { closeSync, constants, fstatSync, openSync, rmdirSync, statSync, unlinkSync, utimesSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { systemErrorCode } from '../../errors.ts';
import type { Mount } from '../../layers/index.ts';
import { openBeneath } from './syscalls.ts';

export interface Stubs {
  /** Paths to leave out of the layer: where something of the sandbox was mounted, and what was made for a mount of the step. */
  readonly mounted: readonly string[];
  /** What was made to mount on it, outermost first. */
  readonly created: readonly string[];
}

const GONE = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENOTEMPTY', 'EEXIST', 'EXDEV', 'EISDIR'];

/**
 * Takes away what was made only to mount on it, innermost first: directories that are empty and files without content. A
 * directory in which the step left something stays. The step has ended, so nobody can race; its links are not followed.
 */
export function removeStubs(root: Mount, created: readonly string[]): void {
  const directory = root.type === 'bind' ? root.source : root.upper;
  if (directory === undefined || root.readOnly) return;
  const rootFd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const path of created.toReversed()) ignoreGone(() => removeStub(rootFd, path.slice(1)));
  } finally {
    closeSync(rootFd);
  }
}

function removeStub(rootFd: number, path: string): void {
  const parent = openBeneath(rootFd, dirname(path));
  try {
    const name = `/proc/self/fd/${parent}/${basename(path)}`;
    const stub = openBeneath(parent, basename(path));
    const stat = fstatSync(stub);
    closeSync(stub);
    const { atimeMs, mtimeMs } = statSync(`/proc/self/fd/${parent}`);
    if (stat.isDirectory()) rmdirSync(name);
    else if (stat.isFile() && stat.size === 0) unlinkSync(name);
    utimesSync(`/proc/self/fd/${parent}`, atimeMs / 1000, mtimeMs / 1000);
  } finally {
    closeSync(parent);
  }
}

function ignoreGone(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!GONE.includes(systemErrorCode(error) ?? '')) throw error;
  }
}
