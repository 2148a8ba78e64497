import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { systemErrorCode } from '../../errors.ts';

/** Docker's default, for a spec without PATH. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export type Program = { readonly path: string } | { readonly reason: string };

/** Finds what to execute, in the root and with the rights of the calling thread. */
export function lookupProgram(name: string, env: Readonly<Record<string, string>>): Program {
  if (name === '') return { reason: 'the command is empty' };
  if (name.includes('/')) return check(name, name);
  let denied: Program | undefined;
  for (const directory of (env.PATH ?? DEFAULT_PATH).split(':')) {
    const found = check(`${directory || '.'}/${name}`, name);
    if ('path' in found) return found;
    if (!found.reason.endsWith(NOT_FOUND)) denied ??= found;
  }
  return denied ?? { reason: `"${name}": not found in $PATH (127)` };
}

const NOT_FOUND = 'not found (127)';

function check(path: string, name: string): Program {
  try {
    if (statSync(path).isDirectory()) return { reason: `"${name}": is a directory (126)` };
    accessSync(path, constants.X_OK);
  } catch (error) {
    const code = systemErrorCode(error);
    const isMissing = code === 'ENOENT' || code === 'ENOTDIR';
    return { reason: isMissing ? `"${name}": ${NOT_FOUND}` : `"${name}": permission denied (126)` };
  }
  if (isForeignFormat(path))
    return { reason: `"${name}": exec format error: neither a program nor a script with #! (126)` };
  return { path };
}

/** glibc would run such a file by /bin/sh, where Docker fails. */
function isForeignFormat(path: string): boolean {
  const head = Buffer.alloc(4);
  try {
    const fd = openSync(path, 'r');
    try {
      readSync(fd, head, 0, 4, 0);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    // An executable need not be readable; the kernel decides.
    if (systemErrorCode(error) === 'EACCES') return false;
    throw error;
  }
  return !head.subarray(0, 2).equals(Buffer.from('#!')) && !head.equals(Buffer.from('\x7fELF', 'latin1'));
}
