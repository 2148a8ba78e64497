import { closeSync, openSync, readSync, rmSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { BuildError } from '../errors.ts';
import { parseChmod } from '../graph/index.ts';
import { encodeHeader, type LayerLibrary, paddingAfter } from '../layers/index.ts';
import type { DiffId, Digest, MtimeRule } from '../oci/index.ts';
import { Batch } from './batch.ts';
import { CHUNK_BYTES, type ChunkPool } from './chunk-pool.ts';
import type { Seen } from './copy-selection.ts';
import { freshReader } from './file-hasher.ts';
import { type FileStat, STAMP_BYTES } from './file-stat.ts';
import { lstatOf } from './file-status.ts';
import { hostEntry } from './host-entry.ts';
import { placeOf } from './source-cursor.ts';
import { readHost, ruled } from './tar-plan.ts';
import { loadTarRecord, saveTarRecord, type TarRecord } from './tar-record.ts';
import type { SeenFile } from './unchanged-file.ts';

/** With more of them, or where the record does not fit, the files are copied as if there were none. */
const MOST_CHANGED = 64;

export interface PatchParts {
  readonly file: string;
  /** All that decides about the tar beside the files. */
  readonly basis: Digest;
  readonly seen: Seen;
  readonly library: Pick<LayerLibrary, 'tarFile'>;
  /** --chmod */
  readonly chmod: string | undefined;
  readonly mtimeRule: MtimeRule | undefined;
}

/** A member of the tar that is another now. */
interface Replacement {
  /** Among the names. */
  readonly index: number;
  readonly start: number;
  readonly end: number;
  readonly header: Uint8Array;
  /** Bytes follow the header. */
  readonly seen: SeenFile | undefined;
  /** Of header, bytes and padding. */
  readonly newSize: number;
}

/**
 * The tar of a COPY of one directory of which a few files were edited since an earlier build: that of then, with other members
 * in the places of these. Nothing else is looked at; the bytes that are taken have checksums.
 */
export class TarPatch implements Disposable {
  readonly #parts: PatchParts;
  readonly #record: TarRecord;
  readonly #replacements: readonly Replacement[];
  readonly #fd: number;
  readonly #block = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  /** Number of what is in the block. */
  #loaded = -1;
  readonly #crcs: number[] = [];
  #size = 0;

  private constructor(
    parts: PatchParts,
    record: TarRecord,
    from: { replacements: readonly Replacement[]; fd: number },
  ) {
    this.#parts = parts;
    this.#record = record;
    this.#replacements = from.replacements;
    this.#fd = from.fd;
  }

  /** undefined: all files have to be gone through. */
  static async open(parts: PatchParts): Promise<TarPatch | undefined> {
    const record = loadTarRecord(parts.file, parts.basis);
    if (!record || record.paths.length !== parts.seen.looks.paths.length) return undefined;
    const replacements = replacementsOf(parts, record);
    const tar = replacements && (await parts.library.tarFile(record.diffId));
    if (!replacements || tar === undefined) return undefined;
    try {
      return new TarPatch(parts, record, { replacements, fd: openSync(tar, 'r') });
    } catch {
      return undefined; // pruned a moment ago
    }
  }

  /** Throws `E_CORRUPT_STORE` where the earlier tar is damaged: it will not be taken again. */
  async *tar(chunks: ChunkPool): AsyncIterable<Uint8Array> {
    for (const chunk of this.#chunks(new Batch(chunks))) {
      this.#crcs.push(this.#knownCrc(this.#crcs.length) ?? crc32(chunk));
      this.#size += chunk.byteLength;
      yield chunk;
    }
  }

  /** What was made is this layer. */
  keep(diffId: DiffId): void {
    const moves = this.#replacements.map(({ start, end, newSize }) => ({ end, by: newSize - (end - start) }));
    const moved = moves.filter(({ by }) => by !== 0);
    const places = this.#record.places.map((place) =>
      moved.reduce((sum, { end, by }) => sum + (place >= end ? by : 0), place),
    );
    const { stamps } = this.#parts.seen.looks;
    saveTarRecord(this.#parts.file, {
      ...this.#record,
      diffId,
      size: this.#size,
      stamps,
      places,
      crcs: Uint32Array.from(this.#crcs),
    });
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  *#chunks(batch: Batch): Iterable<Uint8Array> {
    let at = 0;
    for (const { start, end, header, seen } of this.#replacements) {
      yield* this.#earlier(batch, at, start);
      batch.add(header);
      if (seen) {
        yield* readHost(batch, seen.stat.size, { seen });
        batch.add(paddingAfter(seen.stat.size));
      }
      at = end;
    }
    yield* this.#earlier(batch, at, this.#record.size);
    yield* batch.rest();
  }

  *#earlier(batch: Batch, start: number, end: number): Iterable<Uint8Array> {
    for (let at = start; at < end; ) {
      const block = Math.floor(at / CHUNK_BYTES);
      const until = Math.min(end, (block + 1) * CHUNK_BYTES);
      this.#load(block);
      batch.add(this.#block.subarray(at - block * CHUNK_BYTES, until - block * CHUNK_BYTES));
      at = until;
      if (batch.isFull) yield* batch.take();
    }
  }

  #load(block: number): void {
    if (block === this.#loaded) return;
    const start = block * CHUNK_BYTES;
    const size = Math.min(CHUNK_BYTES, this.#record.size - start);
    let read = 0;
    for (let got = -1; got !== 0 && read < size; read += got)
      got = readSync(this.#fd, this.#block, read, size - read, start + read);
    this.#loaded = block;
    if (read === size && crc32(this.#block.subarray(0, size)) === this.#record.crcs[block]) return;
    rmSync(this.#parts.file, { force: true });
    throw new BuildError('E_CORRUPT_STORE', `Cannot copy from the layer ${this.#record.diffId}: it is damaged`, {
      hint: 'Run tsbuild store verify to see what else is',
    });
  }

  /** Of a chunk that is that of before; undefined: it may be another. */
  #knownCrc(chunk: number): number | undefined {
    const [start, end] = [chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES];
    const isSame = this.#replacements.every((one) =>
      one.newSize === one.end - one.start ? one.end <= start || one.start >= end : one.start >= end,
    );
    return isSame && end <= this.#record.size ? this.#record.crcs[chunk] : undefined;
  }
}

/** In the order of the tar. undefined: something else changed than files and directories that were there. */
function replacementsOf(parts: PatchParts, record: TarRecord): readonly Replacement[] | undefined {
  const positions = changedPositions(parts.seen, record);
  const paths = positions && new Set(positions.map((position) => record.paths[position] ?? ''));
  const found: Replacement[] = [];
  for (const path of paths ?? []) {
    const stat = statAsSeen(parts.seen, path, positions ?? []);
    if (!stat) return undefined;
    if (isAbove(path, record, stat)) continue;
    const replacement = replacementOf(parts, record, { path, stat });
    if (!replacement) return undefined;
    found.push(replacement);
  }
  return paths && found.sort((a, b) => a.start - b.start);
}

/** Of the paths that have other stamps, or stamps that say nothing; undefined: too many, or there are other paths. */
function changedPositions({ looks }: Seen, { paths, stamps }: TarRecord): readonly number[] | undefined {
  const changed = new Set(looks.unsettled.keys());
  for (const [position, path] of paths.entries()) {
    if (looks.paths[position] !== path) return undefined;
    const at = position * STAMP_BYTES;
    if (looks.stamps.compare(stamps, at, at + STAMP_BYTES, at, at + STAMP_BYTES) !== 0) changed.add(position);
    if (changed.size > MOST_CHANGED) return undefined;
  }
  return [...changed];
}

/** undefined: it is not as it was when it was selected, or gone. */
function statAsSeen({ root, looks }: Seen, path: string, positions: readonly number[]): FileStat | undefined {
  try {
    const stat = lstatOf(placeOf(root, path));
    const isAsSeen = positions
      .filter((position) => looks.paths[position] === path)
      .every((position) => {
        const at = position * STAMP_BYTES;
        return stat.stamp === (looks.unsettled.get(position) ?? looks.stamps.toString('latin1', at, at + STAMP_BYTES));
      });
    return isAsSeen ? stat : undefined;
  } catch {
    return undefined; // whoever goes through all files is told
  }
}

/** The directory that is copied, or one on the way to it: only its contents are. Its time is that of new directories. */
function isAbove(path: string, { source: { directory, mtime } }: TarRecord, stat: FileStat): boolean {
  if (!stat.isDirectory()) return false;
  if (path === directory) return stat.mtime === mtime;
  return path === '' || directory.startsWith(`${path}/`);
}

function replacementOf(
  { seen: { root }, chmod, mtimeRule }: PatchParts,
  { source: { directory }, names, places, destination, owner }: TarRecord,
  { path, stat }: { readonly path: string; readonly stat: FileStat },
): Replacement | undefined {
  const relative = directory === '' ? path : path.slice(directory.length + 1);
  const index = names.indexOf(stat.isDirectory() ? `${relative}/` : relative);
  const [start, end] = [places[2 * index], places[2 * index + 1]];
  const isPlain = stat.isDirectory() || (stat.isFile() && stat.nlink === 1);
  if (start === undefined || end === undefined || !isPlain) return undefined;
  const target = destination === '/' ? `/${relative}` : `${destination}/${relative}`;
  const changes = { owner: owner ?? undefined, chmod: chmod === undefined ? undefined : parseChmod(chmod) };
  const xattrs = freshReader.xattrs({ root, path }, stat);
  const entry = hostEntry(root, { relative, path, stat }, { target, xattrs, ...changes });
  const header = encodeHeader(ruled(entry, mtimeRule));
  const size = entry.type === 'file' ? entry.size : 0;
  const newSize = header.byteLength + size + paddingAfter(size).byteLength;
  const seen = entry.type === 'file' ? { file: { root, path }, stat } : undefined;
  return { index, start, end, header, seen, newSize };
}
