import { closeSync, createReadStream, fstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { BuildError, systemErrorCode } from '../errors.ts';
import {
  type ByteStream,
  type ContentStore,
  type Descriptor,
  type Digest,
  digestFrom,
  digestMismatch,
  hexOf,
  type Ingested,
  MAX_JSON_BYTES,
  type MadeBytes,
  parseDigest,
  sha256,
  verify,
  verifyOnce,
} from '../oci/index.ts';
import { abortable } from './abortable.ts';
import { BlobThread } from './blob-thread.ts';
import { Likeness } from './likeness.ts';
import { temporaryName } from './process-identity.ts';
import { SparseFile } from './sparse-file.ts';
import { startStream } from './started-stream.ts';
import { touch } from './state-file.ts';
import { storeError } from './store-error.ts';

/** Large enough that the calls do not count beside the hashing. */
const READ_BYTES = 1024 * 1024;

export interface BlobDirectories {
  /** Holds the blobs, named by the hex of their digests. */
  readonly blobs: string;
  /** On the same filesystem. */
  readonly ingest: string;
  /** Permission bits of a blob; default 0444. */
  readonly mode?: number;
  /** The directory is not ours: a damaged blob in it is reported, not removed. */
  readonly isForeign?: boolean;
}

type Expected = Pick<Descriptor, 'digest' | 'size'>;

export interface Ingesting {
  readonly expected?: Expected | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Gets the file that will be the blob, and how many bytes can be read in it. */
  readonly onGrow?: ((path: string, size: number) => void) | undefined;
}

type OnFree = NonNullable<MadeBytes['onFree']>;

/** Fewer chunks are hashed and written sooner than a thread starts. */
const CHUNKS_FOR_THREAD = 4;

/**
 * Blobs as files. A blob gets its name only after its bytes were compared with its digest and synced to the disk (one
 * fdatasync a blob), so a name never shows wrong bytes, not even after a power cut. The directory is not synced: a
 * power cut can lose the newest names, and the blobs are then fetched or made again.
 */
export class DiskContentStore implements ContentStore {
  readonly #directories: BlobDirectories;

  constructor(directories: BlobDirectories) {
    this.#directories = directories;
  }

  #path(digest: Digest): string {
    return join(this.#directories.blobs, hexOf(digest));
  }

  /** Also marks the blob as used now: prune leaves it for the processes that run. */
  async has(digest: Digest): Promise<boolean> {
    return this.isHere(digest);
  }

  /** As `has`; never a blob that would have to be fetched. */
  async isHere(digest: Digest): Promise<boolean> {
    return touch(this.#path(digest));
  }

  async fileOf(digest: Digest): Promise<string | undefined> {
    return (await this.isHere(digest)) ? this.#path(digest) : undefined;
  }

  async *open(target: Expected): ByteStream {
    try {
      yield* verify(this.#bytes(target.digest), target, 'stored blob');
    } catch (cause) {
      if (!(cause instanceof BuildError) || !/^E_(DIGEST|SIZE)_MISMATCH$/.test(cause.code)) throw cause;
      throw await this.#damaged(target.digest, cause);
    }
  }

  async read(digest: Digest): Promise<Uint8Array> {
    const bytes = this.#readSmall(digest);
    const actual = digestFrom(sha256().update(bytes));
    if (actual === digest) return bytes;
    throw await this.#damaged(digest, digestMismatch('stored blob', digest, actual));
  }

  async ingest(bytes: ByteStream, expected?: Expected, signal?: AbortSignal): Promise<Ingested> {
    if (expected && (await this.#holds(expected))) {
      await bytes[Symbol.asyncIterator]().return?.();
      return { digest: expected.digest, size: expected.size };
    }
    return this.ingestShown(bytes, { expected, signal });
  }

  /** The same, and others may read the file while it grows. */
  protected async ingestShown(bytes: ByteStream, { expected, signal, onGrow }: Ingesting): Promise<Ingested> {
    const source = abortable(expected ? verifyOnce(bytes, expected) : bytes, signal);
    return this.#keep((temporary) => this.#write(temporary, source, { expected, onGrow }));
  }

  async ingestMade(bytes: ByteStream, { likely, onFree }: MadeBytes = {}): Promise<Ingested> {
    const file = likely && (await this.fileOf(likely));
    const likeness = file === undefined ? undefined : await Likeness.open(file);
    if (!likely || !likeness) return await this.#keepMade(bytes, onFree);
    try {
      const { start, all } = await startStream(likeness.differing(bytes, onFree), 1);
      if (start.length === 0 && likeness.isSame) return { digest: likely, size: likeness.size };
      return await this.#keepMade(all, onFree);
    } finally {
      await likeness.close();
    }
  }

  async #keepMade(bytes: ByteStream, onFree: MadeBytes['onFree']): Promise<Ingested> {
    const { start, all } = await startStream(bytes, CHUNKS_FOR_THREAD);
    const inThread = start.length === CHUNKS_FOR_THREAD && availableParallelism() > 1;
    return await this.#keep((temporary) =>
      onFree && inThread ? this.#writeInThread(temporary, all, onFree) : this.#write(temporary, all),
    );
  }

  /** `write` makes the file and says what is in it. */
  async #keep(write: (temporary: string) => Promise<Ingested>): Promise<Ingested> {
    const temporary = join(this.#directories.ingest, temporaryName());
    try {
      const ingested = await write(temporary);
      await rename(temporary, this.#path(ingested.digest)).catch(failing(temporary));
      return ingested;
    } catch (cause) {
      await rm(temporary, { force: true });
      throw cause;
    }
  }

  /**
   * Errors of the source pass unchanged; those of the file are the store's. What is expected was verified on its way and is
   * not hashed again.
   */
  async #write(path: string, bytes: ByteStream, { expected, onGrow }: Ingesting = {}): Promise<Ingested> {
    const { mode = 0o444 } = this.#directories;
    const hash = expected ? undefined : sha256();
    let size = 0;
    const fail = (cause: unknown) => failing(path, expected && Math.max(0, expected.size - size))(cause);
    await this.#makeDirectories().catch(fail);
    const file = await open(path, 'wx', 0o600).catch(fail);
    const sparse = new SparseFile(file, onGrow && ((written) => onGrow(path, written)));
    try {
      for await (const chunk of bytes) {
        hash?.update(chunk);
        await sparse.add(chunk).catch(fail);
        size += chunk.byteLength;
      }
      await file.chmod(mode).catch(fail);
      await sparse.finish().catch(fail);
    } finally {
      await sparse.settle();
      await file.close();
    }
    return hash || !expected ? { digest: digestFrom(hash ?? sha256()), size } : { digest: expected.digest, size };
  }

  /** The same beside whoever makes the bytes. */
  async #writeInThread(path: string, bytes: ByteStream, onFree: OnFree): Promise<Ingested> {
    const { mode = 0o444 } = this.#directories;
    await this.#makeDirectories().catch(failing(path));
    const thread = new BlobThread({ path, mode }, onFree);
    let size = 0;
    try {
      for await (const chunk of bytes) {
        size += chunk.byteLength;
        await thread.add(chunk).catch(failing(path));
      }
      return { digest: parseDigest(`sha256:${await thread.finish().catch(failing(path))}`), size };
    } finally {
      await thread.stop();
    }
  }

  async #makeDirectories(): Promise<void> {
    const { ingest, blobs } = this.#directories;
    for (const directory of [ingest, blobs]) await mkdir(directory, { recursive: true });
  }

  async delete(digest: Digest): Promise<void> {
    try {
      await rm(this.#path(digest), { force: true });
    } catch (cause) {
      throw storeError({ doing: 'delete a blob', path: this.#path(digest) }, cause);
    }
  }

  /** What the bytes of a blob's file really are; undefined: not here. */
  async hash(digest: Digest): Promise<Digest | undefined> {
    const hash = sha256();
    try {
      for await (const chunk of this.#bytes(digest)) hash.update(chunk);
    } catch (cause) {
      if (cause instanceof BuildError && cause.code === 'E_CORRUPT_STORE') return undefined;
      throw cause;
    }
    return digestFrom(hash);
  }

  /** The digests of all blobs, in no order. */
  async list(): Promise<readonly Digest[]> {
    const names = await readdir(this.#directories.blobs).catch((cause: unknown) => {
      if (systemErrorCode(cause) === 'ENOENT') return [];
      throw storeError({ doing: 'list blobs', path: this.#directories.blobs }, cause);
    });
    // The pattern is that of a digest's hex.
    return names.filter((name) => /^[0-9a-f]{64}$/.test(name)).map((name) => `sha256:${name}` as Digest);
  }

  /** Size and times of a blob's file; undefined: not here. */
  async stat(digest: Digest): Promise<Stats | undefined> {
    try {
      return statSync(this.#path(digest));
    } catch {
      return undefined;
    }
  }

  async #holds({ digest, size }: Expected): Promise<boolean> {
    return (await this.isHere(digest)) && (await this.stat(digest))?.size === size;
  }

  /** At once: a stream costs more than what is read of it. */
  #readSmall(digest: Digest): Uint8Array {
    let file: number | undefined;
    try {
      file = openSync(this.#path(digest), 'r');
      if (fstatSync(file).size <= MAX_JSON_BYTES) return readFileSync(file);
    } catch (cause) {
      throw this.#unreadable(digest, cause);
    } finally {
      if (file !== undefined) closeSync(file);
    }
    throw new BuildError('E_SIZE_MISMATCH', `Refusing to read more than ${MAX_JSON_BYTES} bytes into memory`);
  }

  async *#bytes(digest: Digest): ByteStream {
    try {
      yield* createReadStream(this.#path(digest), { highWaterMark: READ_BYTES });
    } catch (cause) {
      throw this.#unreadable(digest, cause);
    }
  }

  #unreadable(digest: Digest, cause: unknown): BuildError {
    const path = this.#path(digest);
    if (systemErrorCode(cause) !== 'ENOENT') return storeError({ doing: 'read a blob', path }, cause);
    return new BuildError('E_CORRUPT_STORE', `Missing blob ${digest} in "${this.#directories.blobs}"`, {
      hint: 'Pull, build or write the image again',
      cause,
      fields: { path },
    });
  }

  /** A blob whose bytes are wrong is removed, so that the next pull or build brings it again. */
  async #damaged(digest: Digest, cause: BuildError): Promise<BuildError> {
    if (this.#directories.isForeign) return cause;
    if ((await this.hash(digest)) === digest) return cause;
    await this.delete(digest);
    return new BuildError(cause.code, `Damaged blob ${digest} in the store`, {
      hint: 'It was removed: pull or build the image again, and check the disk',
      cause,
      fields: cause.fields,
    });
  }
}

/** For `catch`: the error of a failed system call on `path`. */
const failing =
  (path: string, neededBytes?: number) =>
  (cause: unknown): never => {
    throw storeError({ doing: 'write a blob', path, neededBytes }, cause);
  };
