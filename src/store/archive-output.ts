import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { encodeTarStream, type TarMember } from '../layers/index.ts';
import { type ByteStream, oneChunk } from '../oci/index.ts';
import { abortable } from './abortable.ts';
import { temporaryName } from './process-identity.ts';
import { storeError } from './store-error.ts';

/** A path, or a stream that stays open afterwards (standard output). */
export type ArchiveDestination = string | Writable;

/** Writes a tar. A file gets its name when it is complete; the same members give the same bytes. */
export async function writeArchive(
  destination: ArchiveDestination,
  members: Iterable<TarMember> | AsyncIterable<TarMember>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const bytes = abortable(encodeTarStream(members), signal);
  if (typeof destination === 'string') return writeFile(destination, bytes);
  try {
    await pipeline(Readable.from(bytes, { objectMode: false }), destination, { end: false });
  } catch (cause) {
    throw storeError({ doing: 'write the archive', path: 'standard output' }, cause);
  }
}

async function writeFile(path: string, bytes: ByteStream): Promise<void> {
  const temporary = join(dirname(path), temporaryName());
  try {
    const file = await open(temporary, 'wx', 0o644);
    try {
      for await (const chunk of bytes) await file.writeFile(chunk);
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw storeError({ doing: 'write the archive', path }, cause);
  }
}

/** Time and owner say nothing about an image: always the same. */
const PLAIN = { uid: 0, gid: 0, mtime: 0 } as const;

export const fileMember = (path: string, size: number, body: ByteStream): TarMember => ({
  entry: { type: 'file', path, mode: 0o644, size, ...PLAIN },
  body,
});

export const bytesMember = (path: string, bytes: Uint8Array): TarMember =>
  fileMember(path, bytes.byteLength, oneChunk(bytes));

export const directoryMember = (path: string): TarMember => ({
  entry: { type: 'directory', path, mode: 0o755, ...PLAIN },
});
