import { readFileSync } from 'node:fs';
import { systemErrorCode } from '../index.ts';
import { usageError } from './usage.ts';

/**
 * The lines of `--build-arg-file`, as `--build-arg` takes them: `NAME=VALUE`, or `NAME` for the value of the environment.
 * Empty lines and lines that begin with `#` say nothing (as in buildah); a later file wins.
 */
export const readBuildArgFiles = (files: readonly string[]): readonly string[] => files.flatMap(readBuildArgFile);

function readBuildArgFile(file: string): readonly string[] {
  const lines = readText(file)
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/);
  return lines.filter((line) => line.trim() !== '' && !line.startsWith('#'));
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const reason = systemErrorCode(cause);
    const why = reason === 'ENOENT' ? 'no such file' : (reason ?? 'error');
    throw usageError(`Cannot read --build-arg-file "${file}": ${why}`, 'each line of it is NAME=VALUE');
  }
}
