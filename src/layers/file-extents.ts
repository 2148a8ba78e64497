import { fstatSync } from 'node:fs';
import { nextData } from './syscalls.ts';

/** A smaller file is read as it is: looking for its holes costs more. */
const SMALLEST_SPARSE = 256 * 1024;

export interface FileExtent {
  /** Where it begins is where the one before ends. */
  readonly end: number;
  /** Nothing but zeros, without being read. */
  readonly isHole: boolean;
}

/** Data and holes of an open file in turn, up to `size`. */
export function* extentsOf(fd: number, size: number): Generator<FileExtent> {
  const isSparse = size >= SMALLEST_SPARSE && fstatSync(fd).blocks * 512 < size;
  for (let at = 0; isSparse && at < size; ) {
    const data = nextData(fd, at);
    yield { end: Math.min(data?.start ?? size, size), isHole: true };
    if (data) yield { end: Math.min(data.end, size), isHole: false };
    at = data?.end ?? size;
  }
  yield { end: size, isHole: false };
}
