import { posix } from 'node:path';
import { crc32 } from 'node:zlib';
import type { DiffId, Digest } from '../oci/index.ts';
import type { Seen } from './copy-selection.ts';
import type { PathSelection, SelectedSource } from './selected-source.ts';
import { MemberPlaces } from './tar-plan.ts';
import { saveTarRecord } from './tar-record.ts';
import type { Owner } from './users.ts';

/** With fewer files going through all of them costs nothing. */
const FEWEST_FILES = 256;

/** Where the contents of a directory went. */
export interface Destination {
  readonly path: string;
  readonly owner: Owner | undefined;
}

interface Recorded {
  readonly file: string;
  /** All that decides about the tar beside the files. */
  readonly basis: Digest;
  readonly seen: Seen;
  readonly source: PathSelection;
}

/** Notes where the files lie in the tar that a COPY of one directory makes: see `TarPatch`. */
export class TarRecording {
  readonly members = new MemberPlaces();
  readonly #recorded: Recorded;
  readonly #crcs: number[] = [];
  #size = 0;
  #destination: Destination | undefined;
  #hasMore = false;

  private constructor(recorded: Recorded) {
    this.#recorded = recorded;
  }

  /** undefined: it would be of no use. */
  static of(sources: readonly SelectedSource[], facts: Omit<Recorded, 'source'>): TarRecording | undefined {
    const [source] = sources;
    if (sources.length > 1 || source?.type !== 'directory' || source.entries.length < FEWEST_FILES) return undefined;
    return new TarRecording({ ...facts, source });
  }

  /** The copy depends on more than its basis and its files, or says more than its tar. */
  spoil(): void {
    this.#hasMore = true;
  }

  copiesTo(destination: Destination): void {
    this.#destination = destination;
  }

  /** The chunks of the tar. */
  async *watch(tar: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const chunk of tar) {
      this.#crcs.push(crc32(chunk));
      this.#size += chunk.byteLength;
      yield chunk;
    }
  }

  /** What was made is this layer. */
  keep(diffId: DiffId): void {
    const { file, basis, seen, source } = this.#recorded;
    const to = this.#destination;
    const { places, areLinked } = this.members;
    if (!to || this.#hasMore || areLinked) return;
    const names: string[] = [];
    const numbers: number[] = [];
    for (const { relative, stat, isParent } of source.entries) {
      const place = places.get(posix.join(to.path, relative));
      // what is only on the way to what is copied takes after what is there
      if (relative === '' || isParent || !place || !(stat.isDirectory() || stat.isFile())) continue;
      names.push(stat.isDirectory() ? `${relative}/` : relative);
      numbers.push(...place);
    }
    const [top] = source.entries;
    saveTarRecord(file, {
      diffId,
      basis,
      owner: to.owner ?? null,
      source: { directory: top?.path ?? '', mtime: top?.stat.mtime ?? 0 },
      destination: to.path,
      size: this.#size,
      paths: seen.looks.paths,
      stamps: seen.looks.stamps,
      names,
      places: Float64Array.from(numbers),
      crcs: Uint32Array.from(this.#crcs),
    });
  }
}
