import { type FileHandle, open, rm } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { BuildError } from '../errors.ts';
import { buildTarIndex, type TarIndexEntry } from '../layers/index.ts';
import { type ByteStream, type Compression, readAll } from '../oci/index.ts';
import { abortable } from './abortable.ts';
import type { Decompress } from './image-reader.ts';
import { temporaryName } from './process-identity.ts';
import { storeError } from './store-error.ts';

const READ_BYTES = 1024 * 1024;
/** As the kernel's limit on symbolic links in one path walk (path_resolution(7)). */
const MAX_LINKS = 40;

export interface ArchiveInput {
  /** A path, or bytes that can be read once (standard input). */
  readonly source: string | ByteStream;
  /** Where what cannot be read at random is spooled: streams and compressed archives. */
  readonly ingest: string;
  readonly decompress: Decompress;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A tar whose members are read by name, in any order. Nothing is unpacked, so no name in it can lead anywhere; the file
 * stays open, so nobody can exchange it meanwhile. Links (old `docker save`) are followed within the archive.
 */
export class ArchiveFile implements AsyncDisposable {
  /** For error texts. */
  readonly label: string;
  readonly #file: FileHandle;
  readonly #members: ReadonlyMap<string, TarIndexEntry>;

  private constructor(label: string, file: FileHandle, members: ReadonlyMap<string, TarIndexEntry>) {
    this.label = label;
    this.#file = file;
    this.#members = members;
  }

  static async open(input: ArchiveInput): Promise<ArchiveFile> {
    const label = typeof input.source === 'string' ? input.source : 'standard input';
    const file = await openSeekable(input);
    try {
      const index = await buildTarIndex(abortable(bytesOf(file), input.signal));
      return new ArchiveFile(label, file, new Map(index.map((member) => [member.entry.path, member])));
    } catch (cause) {
      await file.close();
      throw storeError({ doing: 'read the archive', path: label }, cause);
    }
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  /** Size in bytes of a member. Throws `E_BAD_MANIFEST` where it is not a file of the archive. */
  size(name: string): number {
    return this.#place(name).size;
  }

  bytes(name: string): ByteStream {
    const { offset, size } = this.#place(name);
    return bytesOf(this.#file, offset, offset + size);
  }

  /** A small member. Throws `E_SIZE_MISMATCH` above `limit` bytes. */
  async read(name: string, limit: number): Promise<Uint8Array> {
    return readAll(this.bytes(name), limit);
  }

  async compression(name: string): Promise<Compression> {
    const { offset, size } = this.#place(name);
    return compressionAt(this.#file, offset, size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  #find(name: string): TarIndexEntry | undefined {
    let path = posix.normalize(name);
    for (let links = 0; links < MAX_LINKS; links++) {
      const member = this.#members.get(path);
      switch (member?.entry.type) {
        case 'symlink':
          path = posix.join(posix.dirname(path), member.entry.linkname);
          break;
        case 'hardlink':
          path = member.entry.linkname;
          break;
        default:
          return member;
      }
    }
    throw new BuildError('E_BAD_MANIFEST', `Cannot read the archive "${this.label}": "${name}" is a loop of links`);
  }

  #place(name: string): { readonly offset: number; readonly size: number } {
    const member = this.#find(name);
    if (member?.entry.type === 'file') {
      if (member.offset !== undefined) return { offset: member.offset, size: member.entry.size };
      if (member.entry.size === 0) return { offset: 0, size: 0 };
    }
    throw new BuildError('E_BAD_MANIFEST', `Cannot read the archive "${this.label}": it has no file "${name}"`, {
      hint: 'The archive is incomplete or not an image archive; write it again',
    });
  }
}

async function openSeekable(input: ArchiveInput): Promise<FileHandle> {
  if (typeof input.source !== 'string') return spool(input.source, input);
  const path = input.source;
  const fail = (cause: unknown): never => {
    throw storeError({ doing: 'open the archive', path }, cause);
  };
  const file = await open(path, 'r').catch(fail);
  try {
    if (!(await file.stat()).isFile()) return await spool(file.createReadStream(), input);
    const compression = await compressionAt(file, 0, Number.MAX_SAFE_INTEGER);
    if (compression === 'none') return file;
    const spooled = await spool(input.decompress(bytesOf(file), compression), input, 'decompressed');
    await file.close();
    return spooled;
  } catch (cause) {
    await file.close().catch(() => {});
    return fail(cause);
  }
}

/** Keeps the bytes in a file without a name: it is gone when it is closed, or when the process dies. */
async function spool(
  bytes: ByteStream,
  input: ArchiveInput,
  form: 'raw' | 'decompressed' = 'raw',
): Promise<FileHandle> {
  const path = join(input.ingest, temporaryName());
  const file = await open(path, 'wx+', 0o600).catch((cause: unknown) => {
    throw storeError({ doing: 'spool the archive', path }, cause);
  });
  try {
    await rm(path);
    for await (const chunk of abortable(bytes, input.signal)) await file.writeFile(chunk);
    if (form === 'decompressed') return file;
    const compression = await compressionAt(file, 0, Number.MAX_SAFE_INTEGER);
    if (compression === 'none') return file;
    const plain = await spool(input.decompress(bytesOf(file), compression), input, 'decompressed');
    await file.close();
    return plain;
  } catch (cause) {
    await file.close().catch(() => {});
    throw storeError({ doing: 'spool the archive', path }, cause);
  }
}

/** By the magic number (RFC 1952, RFC 8878). */
async function compressionAt(file: FileHandle, offset: number, size: number): Promise<Compression> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, Math.min(4, size), offset);
  const magic = buffer.subarray(0, bytesRead).toString('hex');
  if (magic === '28b52ffd') return 'zstd';
  return magic.startsWith('1f8b') ? 'gzip' : 'none';
}

async function* bytesOf(file: FileHandle, from = 0, to = Number.MAX_SAFE_INTEGER): ByteStream {
  for (let at = from; at < to; ) {
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, to - at));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
