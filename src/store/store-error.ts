import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { BuildError, hintForOpenFiles, systemErrorCode } from '../errors.ts';

/** What was being done when the system refused. */
export interface StoreAction {
  /** Continues "Cannot ...", e.g. `write a blob`. */
  readonly doing: string;
  readonly path: string;
  /** Bytes still to be written, where known. */
  readonly neededBytes?: number | undefined;
}

/** Bytes that an unprivileged writer has left in the filesystem of `directory`; undefined where it cannot be asked. */
export function freeBytes(directory: string): number | undefined {
  try {
    const stats = statfsSync(directory);
    return stats.bavail * stats.bsize;
  } catch {
    return undefined;
  }
}

function outOfSpace(action: StoreAction, reason: string, cause: unknown): BuildError {
  const directory = dirname(action.path);
  const free = freeBytes(directory);
  const facts = [
    ...(action.neededBytes === undefined ? [] : [`${action.neededBytes} bytes needed`]),
    ...(free === undefined ? [] : [`${free} bytes free`]),
  ];
  const numbers = facts.length === 0 ? '' : ` (${facts.join(', ')})`;
  return new BuildError('E_NO_SPACE', `Cannot ${action.doing}: ${reason} in "${directory}"${numbers}`, {
    hint: 'Run "tsbuild prune --all" to free space, or move the state directory with --root',
    cause,
    fields: {
      directory,
      ...(action.neededBytes === undefined ? {} : { needed: action.neededBytes }),
      ...(free === undefined ? {} : { free }),
    },
  });
}

/** The error that a user sees for a failed system call. Errors that are already ours pass unchanged. */
export function storeError(action: StoreAction, cause: unknown): BuildError {
  if (cause instanceof BuildError) return cause;
  const { doing, path } = action;
  const fail = (why: string, hint: string): BuildError =>
    new BuildError('E_STORE', `Cannot ${doing}: ${why}: "${path}"`, { hint, cause, fields: { path } });
  switch (systemErrorCode(cause)) {
    case 'ENOSPC':
      return outOfSpace(action, 'no space left', cause);
    case 'EDQUOT':
      return outOfSpace(action, 'the disk quota is used up', cause);
    case 'EMFILE':
    case 'ENFILE':
      return fail('too many open files', hintForOpenFiles(cause) ?? '');
    case 'EACCES':
    case 'EPERM':
      return fail('permission denied', 'Make the directory writable for this user, or choose another with --root');
    case 'EROFS':
      return fail('the filesystem is read-only', 'Choose a writable directory with --root');
    case 'ENOTDIR':
    case 'EEXIST':
      return fail('something else is in the way', 'Move it away, or choose another directory with --root');
    default:
      return fail(cause instanceof Error ? cause.message : String(cause), 'Check the directory and its disk');
  }
}
