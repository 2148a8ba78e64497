import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { BuildError } from '../index.ts';

/** Writes what a build says (`what`); the file appears whole or not at all. An ID has no newline, as in docker. */
export function writeResultFile(path: string, text: string, what: string): void {
  const draft = `${path}.partial`;
  try {
    writeFileSync(draft, text, { flag: 'w' });
    renameSync(draft, path);
  } catch (cause) {
    rmSync(draft, { force: true });
    throw new BuildError('E_USAGE', `Cannot write the ${what} to "${path}"`, {
      cause,
      hint: 'the image itself is in the store',
    });
  }
}
