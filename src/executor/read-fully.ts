import { readSync } from 'node:fs';

/** Fills `buffer` with what an open file has from `position` on. Returns how many bytes: fewer at its end. Throws as `readSync`. */
export function readFully(fd: number, buffer: Uint8Array, position: number): number {
  let read = 0;
  for (let got = -1; got !== 0 && read < buffer.byteLength; read += got)
    got = readSync(fd, buffer, read, buffer.byteLength - read, position + read);
  return read;
}
