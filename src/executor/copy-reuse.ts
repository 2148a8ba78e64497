import type { LayerLibrary } from '../layers/index.ts';
import { type DiffId, digestOf } from '../oci/index.ts';
import { BodyRecord, BodyRecorder } from './body-record.ts';
import { EarlierTar } from './earlier-tar.ts';
import type { FileHasher } from './file-hasher.ts';
import type { SeenFile } from './unchanged-file.ts';

/** With fewer files reading them costs nothing. */
const FEWEST_FILES = 256;

export interface ReuseParts {
  readonly hasher: FileHasher;
  readonly library: Pick<LayerLibrary, 'tarFile'>;
  /** Of the step. */
  readonly slot: string;
  /** Everything is read. */
  readonly isFresh: boolean;
  /** The layer that will most likely come of it. */
  readonly likely?: DiffId | undefined;
}

/**
 * Takes the files that have not changed since the step ran before from the layer that it made then. A file is the same
 * where the stat cache remembers its sha256, and the earlier tar holds bytes of that sha256.
 */
export class CopyReuse implements Disposable {
  /** Absent where what it would tell is known. */
  readonly recorder: BodyRecorder | undefined;
  readonly earlier: EarlierTar | undefined;
  readonly #hasher: FileHasher;
  readonly #file: string;

  private constructor(hasher: FileHasher, file: string, parts: Pick<CopyReuse, 'recorder' | 'earlier'>) {
    this.#hasher = hasher;
    this.#file = file;
    this.recorder = parts.recorder;
    this.earlier = parts.earlier;
  }

  static async open({ hasher, library, slot, isFresh, likely }: ReuseParts): Promise<CopyReuse> {
    const file = hasher.beside(digestOf(slot).slice(7, 39));
    const record = BodyRecord.load(file);
    const recorder = isFresh && record !== undefined && record.diffId === likely ? undefined : new BodyRecorder();
    const tar = record && !isFresh ? await library.tarFile(record.diffId) : undefined;
    return new CopyReuse(hasher, file, { recorder, earlier: record && tar ? EarlierTar.open(record, tar) : undefined });
  }

  /** Hex sha256 of the file, where that is known without reading it. */
  hashOf({ file, stat }: SeenFile): string | undefined {
    return this.#hasher.known(file, stat);
  }

  /** Remembers what was written for the next time. */
  keep(diffId: DiffId): void {
    if (this.recorder && this.recorder.count >= FEWEST_FILES) this.recorder.save(this.#file, diffId);
  }

  [Symbol.dispose](): void {
    this.earlier?.[Symbol.dispose]();
  }
}
