import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { BuildError } from '../index.ts';

/** Writes the image ID without a newline, as docker does; the file appears whole or not at all. */
export function writeIdFile(path: string, imageId: string): void {
  const draft = `${path}.partial`;
  try {
    writeFileSync(draft, imageId, { flag: 'w' });
    renameSync(draft, path);
  } catch (cause) {
    rmSync(draft, { force: true });
    throw new BuildError('E_USAGE', `Cannot write the image ID to "${path}"`, {
      cause,
      hint: 'the image itself is in the store',
    });
  }
}
