import { readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { BuildError, type SourceFile, systemErrorCode } from '../errors.ts';
import { decodeContainerfile, parseIgnoreFile } from '../parser/index.ts';
import type { SourceRoot } from './source-root.ts';

export interface BuildInput {
  readonly containerfile: SourceFile;
  /** Absolute path; undefined for standard input. */
  readonly path: string | undefined;
  /** Seconds; 0 for standard input. */
  readonly mtime: number;
}

/** BuildKit's limit for a Dockerfile. */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;
const DEFAULT_NAMES = ['Containerfile', 'Dockerfile'] as const;

/** A small file. undefined: not there. Throws `code`. */
function readSmall(
  path: string,
  code: 'E_NO_CONTAINERFILE' | 'E_CONTEXT',
): { bytes: Buffer; mtime: number } | undefined {
  try {
    const stat = statSync(path);
    if (!stat.isFile() && !stat.isFIFO()) {
      throw new BuildError(code, `Cannot read "${path}": not a file`, {
        hint: 'Name the Containerfile with -f, and the context directory as the last argument',
      });
    }
    if (stat.size > MAX_TEXT_BYTES) {
      throw new BuildError(code, `Cannot read "${path}": larger than ${MAX_TEXT_BYTES} bytes`, {
        hint: 'Check that it is the file that you mean',
      });
    }
    return { bytes: readFileSync(path), mtime: Math.floor(stat.mtimeMs / 1000) };
  } catch (error) {
    if (error instanceof BuildError) throw error;
    const reason = systemErrorCode(error);
    if (reason === 'ENOENT' || reason === 'ENOTDIR') return undefined;
    throw new BuildError(code, `Cannot read "${path}": ${reason ?? 'error'}`, {
      hint: 'Check the permissions of the file and of its directories',
      cause: error,
    });
  }
}

/** Checks that the context is a directory. Throws `E_CONTEXT`. */
export function openContext(context: string): string {
  const directory = resolve(context);
  try {
    if (statSync(directory).isDirectory()) return directory;
  } catch (cause) {
    throw new BuildError('E_CONTEXT', `Cannot use the context "${context}": ${systemErrorCode(cause) ?? 'error'}`, {
      hint: 'The last argument is the context directory, usually "."',
      cause,
    });
  }
  throw new BuildError('E_CONTEXT', `Cannot use the context "${context}": not a directory`, {
    hint: /^(https?:|git@|git:|ssh:)/.test(context)
      ? 'Contexts from a URL or a git repository are not built yet: fetch it first and name the directory'
      : 'The last argument is the context directory, usually "."',
  });
}

/**
 * The Containerfile: `file` relative to the working directory, else to the context; without it Containerfile, then
 * Dockerfile, in the context. Throws `E_NO_CONTAINERFILE`, and `E_PARSE` for text that is not UTF-8.
 */
export function readContainerfile(
  context: string,
  file: string | undefined,
  stdin: Uint8Array | undefined,
): BuildInput {
  if (file === '-') {
    return { containerfile: decodeContainerfile(stdin ?? new Uint8Array(), '<stdin>'), path: undefined, mtime: 0 };
  }
  const candidates =
    file === undefined ? DEFAULT_NAMES.map((name) => join(context, name)) : [resolve(file), resolve(context, file)];
  for (const path of candidates) {
    const found = readSmall(path, 'E_NO_CONTAINERFILE');
    if (found)
      return { containerfile: decodeContainerfile(found.bytes, file ?? basename(path)), path, mtime: found.mtime };
  }
  const message =
    file === undefined
      ? `No Containerfile or Dockerfile in "${context}"`
      : `No such Containerfile: "${file}", neither here nor in the context`;
  throw new BuildError('E_NO_CONTAINERFILE', message, { hint: 'Name the file with -f, or "-f -" for standard input' });
}

/** Most particular first: `<file>.containerignore`, `<file>.dockerignore`, `.containerignore`, `.dockerignore`. */
function readIgnoreFile(context: string, containerfile: string | undefined): SourceRoot['ignore'] {
  const candidates = [
    ...(containerfile === undefined ? [] : [`${containerfile}.containerignore`, `${containerfile}.dockerignore`]),
    join(context, '.containerignore'),
    join(context, '.dockerignore'),
  ];
  for (const path of candidates) {
    const found = readSmall(path, 'E_CONTEXT');
    if (found) return { ...parseIgnoreFile(found.bytes.toString('utf8'), basename(path)), fileName: basename(path) };
  }
  return undefined;
}

/** The context as COPY reads it, with its ignore file. Throws `E_CONTEXT`, `E_PARSE`. */
export function contextRoot(context: string, input: BuildInput): SourceRoot {
  const ignore = readIgnoreFile(context, input.path);
  return { directory: context, description: `the context "${context}"`, ignore, keepsOwners: false };
}
