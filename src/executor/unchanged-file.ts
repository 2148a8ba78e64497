import { constants } from 'node:fs';
import { BuildError, systemErrorCode } from '../errors.ts';
import { closeRead, openAt } from '../layers/index.ts';
import type { FileStat } from './file-stat.ts';
import { fstatOf } from './file-status.ts';
import { placeOf } from './source-cursor.ts';
import { hostPath, type PlacedFile } from './source-root.ts';

/** A regular file as it was when it was selected: the cache key, the tar's header and its bytes must speak of one state. */
export interface SeenFile {
  readonly file: PlacedFile;
  readonly stat: FileStat;
}

/** Opens it for reading. Throws `E_CONTEXT` where it cannot be read or is no longer the same. The caller closes. */
export function openUnchanged(seen: SeenFile): number {
  const fd = openFile(seen.file);
  try {
    requireUnchanged(fd, seen);
    return fd;
  } catch (error) {
    closeRead(fd);
    throw error;
  }
}

/** To be asked again after the last byte was read. Throws `E_CONTEXT`. */
export function requireUnchanged(fd: number, { file, stat }: SeenFile): void {
  if (fstatOf(fd).stamp !== stat.stamp) throw changedMeanwhile(file);
}

/** Also for a file that ends before its size says so. */
export const changedMeanwhile = (file: PlacedFile): BuildError =>
  new BuildError('E_CONTEXT', `Cannot copy "${hostPath(file)}": it changed while it was read`, {
    hint: 'Stop what writes the file, or name it in .containerignore',
  });

function openFile(file: PlacedFile): number {
  try {
    // a fifo that took the file's place must not stop the build
    const { directory, name } = placeOf(file.root, file.path);
    return openAt(directory, name, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    throw new BuildError('E_CONTEXT', `Cannot read "${hostPath(file)}": ${systemErrorCode(cause) ?? 'error'}`, {
      hint: 'Make the file readable for the user who builds, or name it in .containerignore',
      cause,
    });
  }
}
