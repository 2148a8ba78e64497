import { constants, readSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError } from '../errors.ts';
import { type DiffId, diffIdFrom, sha256 } from '../oci/index.ts';
import { extentsOf } from './file-extents.ts';
import { readMeta } from './layer-meta.ts';
import { type LayerForm, type LayerMember, walkLayer } from './layer-walk.ts';
import { closeRead, openAt, SystemCallError } from './syscalls.ts';
import { encodeHeader, paddingAfter, TAR_END } from './tar/encode.ts';

const CHUNK = 256 * 1024;
const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
/** asm-generic/fcntl.h */
const O_PATH = 0o10000000;
const AT_FDCWD = -100;

/**
 * The tar of a layer directory, in chunks that stay valid (each is a buffer of its own), or with `reuse` only until the next. Synchronous: for a worker thread.
 * Holes are not read. Throws `E_BAD_LAYER` where a file changes meanwhile or no tar can hold it.
 */
export function* tarOf(root: string, form: LayerForm, reuse = false): Generator<Uint8Array> {
  const chunks = new ChunkBuffer(reuse);
  using sources = new Sources();
  for (const member of walkLayer(root, form)) {
    yield* chunks.add(encodeHeader(member.entry));
    yield* contentOf(member, { chunks, sources });
  }
  yield* chunks.add(TAR_END);
  yield* chunks.rest();
}

/** The same for a directory with `fs` and `meta.json`. */
export const tarOfLayer = (layer: string): Generator<Uint8Array> => tarOf(join(layer, 'fs'), formOf(layer));

export function formOf(layer: string): LayerForm {
  const { implicit, owners = 'real' } = readMeta(layer);
  return { implicit: new Set(implicit), owners };
}

export interface TarIdentity {
  readonly diffId: DiffId;
  readonly tarSize: number;
}

/** Hashes the tar without keeping it. */
export function identifyTar(root: string, form: LayerForm): TarIdentity {
  const hash = sha256();
  let tarSize = 0;
  for (const chunk of tarOf(root, form, true)) {
    hash.update(chunk);
    tarSize += chunk.byteLength;
  }
  return { diffId: diffIdFrom(hash), tarSize };
}

/** Opens files that follow one another: mostly in the directory of the one before. */
class Sources implements Disposable {
  #directory = '';
  #fd: number | undefined;

  open(path: string): number {
    const slash = path.lastIndexOf('/');
    const directory = path.slice(0, slash);
    if (this.#fd === undefined || directory !== this.#directory) {
      this[Symbol.dispose]();
      this.#fd = openAt(AT_FDCWD, directory, O_PATH | O_DIRECTORY | O_NOFOLLOW);
      this.#directory = directory;
    }
    try {
      return openAt(this.#fd, path.slice(slash + 1), O_RDONLY | O_NOFOLLOW);
    } catch (cause) {
      throw cause instanceof SystemCallError ? new SystemCallError('open', cause.errno, path) : cause;
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeRead(this.#fd);
    this.#fd = undefined;
  }
}

interface Reading {
  readonly chunks: ChunkBuffer;
  readonly sources: Sources;
}

function* contentOf({ entry, source }: LayerMember, { chunks, sources }: Reading): Generator<Uint8Array> {
  if (entry.type !== 'file' || source === undefined || entry.size === 0) return;
  const fd = sources.open(source);
  try {
    let at = 0;
    for (const { end, isHole } of extentsOf(fd, entry.size)) {
      while (at < end) {
        const space = yield* chunks.space();
        const wanted = Math.min(space.byteLength, end - at);
        const got = isHole ? fillZeros(space, wanted) : readSync(fd, space, 0, wanted, at);
        if (got === 0) throw changed(entry.path);
        chunks.advance(got);
        at += got;
      }
    }
  } finally {
    closeRead(fd);
  }
  yield* chunks.add(paddingAfter(entry.size));
}

const fillZeros = (space: Uint8Array, length: number): number => {
  space.fill(0, 0, length);
  return length;
};

const changed = (path: string): BuildError =>
  new BuildError('E_BAD_LAYER', `Cannot read "/${path}" for its layer: it became shorter meanwhile`, {
    hint: 'Something outside of the build changes files of the state directory; run the build again',
  });

/** Collects bytes into chunks of one size. */
class ChunkBuffer {
  #buffer = Buffer.allocUnsafeSlow(CHUNK);
  #used = 0;
  readonly #reuse: boolean;

  constructor(reuse: boolean) {
    this.#reuse = reuse;
  }

  *add(bytes: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < bytes.byteLength; ) {
      const space = yield* this.space();
      const part = bytes.subarray(at, at + space.byteLength);
      space.set(part);
      this.advance(part.byteLength);
      at += part.byteLength;
    }
  }

  /** Free bytes of the current chunk, at least one; gives the chunk away when it is full. */
  *space(): Generator<Uint8Array, Uint8Array> {
    if (this.#used === CHUNK) {
      yield this.#buffer;
      if (!this.#reuse) this.#buffer = Buffer.allocUnsafeSlow(CHUNK);
      this.#used = 0;
    }
    return this.#buffer.subarray(this.#used);
  }

  advance(bytes: number): void {
    this.#used += bytes;
  }

  *rest(): Generator<Uint8Array> {
    if (this.#used > 0) yield this.#buffer.subarray(0, this.#used);
  }
}
