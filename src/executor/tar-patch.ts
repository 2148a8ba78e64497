import { closeSync, openSync, rmSync } from 'node:fs';
import { posix } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { BuildError } from '../errors.ts';
import { parseChmod } from '../graph/index.ts';
import { type CommittedLayer, encodeHeader, type LayerLibrary, paddingAfter } from '../layers/index.ts';
import { asDigest, type Digest, diffIdFrom, type LayerPatch, type MtimeRule, oneChunk, sha256 } from '../oci/index.ts';
import { Batch } from './batch.ts';
import { CHUNK_BYTES } from './chunk-pool.ts';
import type { Seen } from './copy-selection.ts';
import { freshReader } from './file-hasher.ts';
import { type FileStat, STAMP_BYTES } from './file-stat.ts';
import { lstatOf } from './file-status.ts';
import { hostEntry } from './host-entry.ts';
import { readFully } from './read-fully.ts';
import { MOST_CHANGED } from './read-log.ts';
import { placeOf } from './source-cursor.ts';
import { isAbove, relativeTo } from './source-path.ts';
import { readHost, ruled } from './tar-plan.ts';
import { loadTarRecord, type TarRecord } from './tar-record.ts';
import type { SeenFile } from './unchanged-file.ts';

/** Of new members; they are held in memory. */
const MOST_BYTES = 16 * 1024 * 1024;
/** Bytes after which others have their turn. */
const TURN_BYTES = 16 * 1024 * 1024;

export interface PatchParts {
  readonly file: string;
  /** All that decides about the tar beside the files. */
  readonly basis: Digest;
  readonly seen: Seen;
  readonly library: Pick<LayerLibrary, 'tarFile' | 'commitPatch'>;
  /** --chmod */
  readonly chmod: string | undefined;
  readonly mtimeRule: MtimeRule | undefined;
}

/** A member of the tar that is another now. */
interface Replacement {
  readonly start: number;
  readonly end: number;
  readonly header: Uint8Array;
  /** Bytes follow the header. */
  readonly seen: SeenFile | undefined;
  /** Of header, bytes and padding. */
  readonly newSize: number;
}

/**
 * The layer of a COPY of one directory of which a few files were edited since an earlier build: the tar of then, with other members
 * in the places of these. Nothing else is looked at, and only these members are kept.
 */
export class TarPatch implements Disposable {
  readonly #parts: PatchParts;
  readonly #record: TarRecord;
  readonly #replacements: readonly Replacement[];
  readonly #fd: number;
  readonly #block = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  /** Number of what is in the block. */
  #loaded = -1;

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
    const newBytes = replacements?.reduce((sum, { newSize }) => sum + newSize, 0) ?? 0;
    const tar = newBytes > MOST_BYTES ? undefined : await parts.library.tarFile(record.diffId);
    if (!replacements || tar === undefined) return undefined;
    try {
      return new TarPatch(parts, record, { replacements, fd: openSync(tar, 'r') });
    } catch {
      return undefined; // pruned a moment ago
    }
  }

  /** Throws `E_CORRUPT_STORE` where the earlier tar is damaged: it will not be taken again. */
  async commit(signal: AbortSignal): Promise<CommittedLayer> {
    const { diffId: base, size } = this.#record;
    const pieces = this.#pieces();
    const parts = this.#partsOf(pieces);
    const hash = sha256();
    let beforeTurn = TURN_BYTES;
    for (const [of, start, length] of parts) {
      for (const bytes of of === 'base'
        ? this.#earlier(start, start + length)
        : [pieces.subarray(start, start + length)]) {
        hash.update(bytes);
        beforeTurn -= bytes.byteLength;
        if (beforeTurn > 0) continue;
        beforeTurn = TURN_BYTES;
        await turn();
        signal.throwIfAborted();
      }
    }
    const diffId = diffIdFrom(hash);
    if (diffId === base) return { diffId, sizeBytes: size, isEmpty: false };
    return this.#parts.library.commitPatch(diffId, {
      base: { digest: asDigest(base), size },
      pieces: oneChunk(pieces),
      parts,
    });
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** The new members, one after another. */
  #pieces(): Buffer {
    const batch = new Batch();
    const chunks: Uint8Array[] = [];
    for (const { header, seen } of this.#replacements) {
      batch.add(header);
      if (!seen) continue;
      chunks.push(...readHost(batch, seen.stat.size, { seen }));
      batch.add(paddingAfter(seen.stat.size));
    }
    return Buffer.concat([...chunks, ...batch.rest()]);
  }

  #partsOf(pieces: Buffer): LayerPatch['parts'] {
    const parts: LayerPatch['parts'][number][] = [];
    let at = 0;
    let piece = 0;
    for (const { start, end, newSize } of this.#replacements) {
      parts.push(['base', at, start - at], ['pieces', piece, newSize]);
      piece += newSize;
      at = end;
    }
    if (piece !== pieces.length) throw new BuildError('E_INTERNAL', `${pieces.length} bytes of members, not ${piece}`);
    return [...parts, ['base', at, this.#record.size - at]];
  }

  /** Views that are valid until the next one. */
  *#earlier(start: number, end: number): Iterable<Uint8Array> {
    for (let at = start; at < end; ) {
      const block = Math.floor(at / CHUNK_BYTES);
      const until = Math.min(end, (block + 1) * CHUNK_BYTES);
      this.#load(block);
      yield this.#block.subarray(at - block * CHUNK_BYTES, until - block * CHUNK_BYTES);
      at = until;
    }
  }

  #load(block: number): void {
    if (block === this.#loaded) return;
    const start = block * CHUNK_BYTES;
    const size = Math.min(CHUNK_BYTES, this.#record.size - start);
    const read = readFully(this.#fd, this.#block.subarray(0, size), start);
    this.#loaded = block;
    if (read === size && crc32(this.#block.subarray(0, size)) === this.#record.crcs[block]) return;
    rmSync(this.#parts.file, { force: true });
    throw new BuildError('E_CORRUPT_STORE', `Cannot copy from the layer ${this.#record.diffId}: it is damaged`, {
      hint: 'Run tsbuild store verify to see what else is',
    });
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
    if (isOnlyEntered(path, record, stat)) continue;
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
function isOnlyEntered(path: string, { source: { directory, mtime } }: TarRecord, stat: FileStat): boolean {
  if (!stat.isDirectory()) return false;
  if (path === directory) return stat.mtime === mtime;
  return isAbove(path, directory);
}

function replacementOf(
  { seen: { root }, chmod, mtimeRule }: PatchParts,
  { source: { directory }, names, places, destination, owner }: TarRecord,
  { path, stat }: { readonly path: string; readonly stat: FileStat },
): Replacement | undefined {
  const relative = relativeTo(directory, path);
  const index = names.indexOf(stat.isDirectory() ? `${relative}/` : relative);
  const [start, end] = [places[2 * index], places[2 * index + 1]];
  const isPlain = stat.isDirectory() || (stat.isFile() && stat.nlink === 1);
  if (start === undefined || end === undefined || !isPlain) return undefined;
  const target = posix.join(destination, relative);
  const changes = { owner: owner ?? undefined, chmod: chmod === undefined ? undefined : parseChmod(chmod) };
  const xattrs = freshReader.xattrs({ root, path }, stat);
  const entry = hostEntry(root, { relative, path, stat }, { target, xattrs, ...changes });
  const header = encodeHeader(ruled(entry, mtimeRule));
  const size = entry.type === 'file' ? entry.size : 0;
  const newSize = header.byteLength + size + paddingAfter(size).byteLength;
  const seen = entry.type === 'file' ? { file: { root, path }, stat } : undefined;
  return { start, end, header, seen, newSize };
}
