import { BuildError, type ErrorCode, EXIT_CODES, hintForOpenFiles, systemErrorCode } from '../errors.ts';
import type { JobKind, SentError } from './jobs.ts';

const ACTIONS: Readonly<Record<JobKind, string>> = {
  apply: 'unpack a layer',
  unpack: 'unpack a layer',
  complete: 'put layers together',
  prepare: 'prepare a root directory',
  freeze: 'make a layer of what the step changed',
  tar: 'read a layer back',
  identify: 'read a layer back',
  copy: 'copy layers into a root directory',
  diff: 'find what the step changed',
  measure: 'measure old layers',
  settle: 'have layers on the disk',
  remove: 'remove old layers',
};

/** What the user is told when the system refuses a call. */
export function explain(kind: JobKind, error: unknown): BuildError {
  if (error instanceof BuildError) return error;
  const system = systemErrorCode(error);
  const text = error instanceof Error ? error.message : String(error);
  if (system === undefined) return new BuildError('E_INTERNAL', `Cannot ${ACTIONS[kind]}: ${text}`, { cause: error });
  if (system === 'ENOSPC' || system === 'EDQUOT') {
    return new BuildError('E_NO_SPACE', `Cannot ${ACTIONS[kind]}: the disk is full (${text})`, {
      hint: 'Free some space, for example with "tsbuild prune", or keep the state directory elsewhere with --root',
      cause: error,
    });
  }
  if (system === 'ENAMETOOLONG' || (system === 'EINVAL' && (kind === 'apply' || kind === 'unpack'))) {
    return new BuildError(
      'E_BAD_LAYER',
      `Cannot ${ACTIONS[kind]}: the filesystem refuses a name or an attribute (${text})`,
      {
        hint: 'Shorten the path or the name',
        cause: error,
      },
    );
  }
  const isDenied = system === 'EACCES' || system === 'EPERM';
  const placeHint = isDenied
    ? 'Files of layers belong to other ids of your user namespace: this has to run inside of it'
    : 'The state directory must be on a local filesystem, writable, and used by one user only';
  return new BuildError('E_STORE', `Cannot ${ACTIONS[kind]}: ${text}`, {
    hint: hintForOpenFiles(error) ?? placeHint,
    cause: error,
  });
}

export const toSent = (error: BuildError): SentError => ({
  code: error.code,
  message: error.message,
  hint: error.hint,
  fields: error.fields,
  stack: error.stack,
});

const isErrorCode = (code: string): code is ErrorCode => code in EXIT_CODES;

export function fromSent({ code, message, hint, fields, stack }: SentError): BuildError {
  const error = new BuildError(isErrorCode(code) ? code : 'E_INTERNAL', message, { hint, fields });
  if (stack !== undefined) error.stack = stack;
  return error;
}
