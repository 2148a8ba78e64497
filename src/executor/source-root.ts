import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import { BuildError, systemErrorCode } from '../errors.ts';
import type { IgnoreFile } from '../parser/index.ts';

/** Where COPY reads from: the context, or a stage or image that is mounted read-only. */
export interface SourceRoot {
  /** On this machine; nothing outside of it is ever read. */
  readonly directory: string;
  /** For messages: `the context "/ci/app"`, `stage "build"`. */
  readonly description: string;
  /** The context's ignore file, if it has one. */
  readonly ignore?: (IgnoreFile & { readonly fileName: string }) | undefined;
  /** Files of a stage or image keep their numeric owners; files of a context belong to root. */
  readonly keepsOwners: boolean;
}

/** Linux follows at most 40 links in one look-up (path_resolution(7)). */
const MAX_LINKS = 40;

export const hostPath = (root: SourceRoot, path: string): string =>
  path === '' ? root.directory : `${root.directory}/${path}`;

/** `path` is relative and clean, its directories resolved. undefined: nothing there. */
export function statSource(root: SourceRoot, path: string): BigIntStats | undefined {
  try {
    return lstatSync(hostPath(root, path), { bigint: true });
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return undefined;
    throw unreadable(root, path, error);
  }
}

/** Names in a directory, sorted by code unit. Throws `E_CONTEXT` where it cannot be read. */
export function listSource(root: SourceRoot, path: string): string[] {
  try {
    return readdirSync(hostPath(root, path)).sort();
  } catch (error) {
    throw unreadable(root, path, error);
  }
}

export function unreadable(root: SourceRoot, path: string, cause: unknown): BuildError {
  const code = systemErrorCode(cause) ?? 'error';
  return new BuildError('E_CONTEXT', `Cannot read "${path}" in ${root.description}: ${code}`, {
    hint:
      code === 'EACCES' || code === 'EPERM'
        ? 'Make the file readable for the user who builds, or name it in .containerignore'
        : 'Look at the file; if it is not needed, name it in .containerignore',
    cause,
  });
}

/**
 * Follows symbolic links inside the root (absolute targets start at the root, `..` stops there).
 * Returns a relative, clean path; undefined where a component is missing.
 */
export function resolveSource(root: SourceRoot, path: string): string | undefined {
  const todo = path.split('/').filter((part) => part !== '' && part !== '.');
  let at = '';
  let links = 0;
  while (todo.length > 0) {
    const part = todo.shift() ?? '';
    if (part === '..') {
      at = at.includes('/') ? posix.dirname(at) : '';
      continue;
    }
    const next = at === '' ? part : `${at}/${part}`;
    const stat = statSource(root, next);
    if (stat === undefined) return undefined;
    if (!stat.isSymbolicLink()) {
      at = next;
      continue;
    }
    if (++links > MAX_LINKS) {
      throw new BuildError(
        'E_PATH_ESCAPE',
        `Cannot resolve "${path}" in ${root.description}: too many symbolic links`,
        {
          hint: `Look at the link "${next}", which leads back to itself`,
        },
      );
    }
    const target = readlinkSync(hostPath(root, next));
    if (target.startsWith('/')) at = '';
    todo.unshift(...target.split('/').filter((p) => p !== '' && p !== '.'));
  }
  return at;
}
