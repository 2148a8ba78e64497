import { chmodSync, lutimesSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';

export interface TreeSettings {
  /** Seconds. */
  readonly mtime: number;
  readonly keepGitDir: boolean;
}

/**
 * Makes a checkout the same whatever the umask and the clock say: files 0644 or 0755, directories 0755, one time for
 * all. Without `keepGitDir` the `.git` of each submodule goes, which points to where its repository was.
 */
export function settleTree(directory: string, settings: TreeSettings): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.name === '.git' && !settings.keepGitDir) rmSync(path, { recursive: true, force: true });
    else if (entry.isDirectory()) settleTree(path, settings);
    else settleFile(path, entry.isSymbolicLink(), settings.mtime);
  }
  chmodSync(directory, 0o755);
  utimesSync(directory, settings.mtime, settings.mtime);
}

function settleFile(path: string, isLink: boolean, mtime: number): void {
  if (!isLink) chmodSync(path, (statSync(path).mode & 0o100) === 0 ? 0o644 : 0o755);
  lutimesSync(path, mtime, mtime);
}
