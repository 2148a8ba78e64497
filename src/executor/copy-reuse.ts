import type { LayerLibrary } from '../layers/index.ts';
import { type CacheRecord, type DiffId, digestOf } from '../oci/index.ts';
import { BodyRecord, BodyRecorder } from './body-record.ts';
import { EarlierTar } from './earlier-tar.ts';
import type { FileHasher } from './file-hasher.ts';
import type { SeenFile } from './unchanged-file.ts';

/** With fewer files reading them costs nothing. */
const FEWEST_FILES = 256;

export interface ReuseParts {
  readonly hasher: FileHasher;
  readonly library: Pick<LayerLibrary, 'tarFile'>;
}

/**
 * Takes the files that have not changed since the step ran before from the layer that it made then. A file is the same
 * where the stat cache remembers its sha256, and the earlier tar holds bytes of that sha256.
 */
export class CopyReuse implements Disposable {
  readonly recorder = new BodyRecorder();
  readonly earlier: EarlierTar | undefined;
  readonly #hasher: FileHasher;
  readonly #file: string;

  private constructor(hasher: FileHasher, file: string, earlier: EarlierTar | undefined) {
    this.#hasher = hasher;
    this.#file = file;
    this.earlier = earlier;
  }

  /** `before`: the newest record of the step; absent: everything is read. */
  static async open(slot: string, before: CacheRecord | undefined, parts: ReuseParts): Promise<CopyReuse> {
    const file = parts.hasher.beside(digestOf(slot).slice(7, 39));
    const diffId = before?.layer?.diffId;
    const record = diffId && BodyRecord.load(file, diffId);
    const tar = record && (await parts.library.tarFile(diffId));
    return new CopyReuse(parts.hasher, file, record && tar ? EarlierTar.open(record, tar) : undefined);
  }

  /** Hex sha256 of the file, where that is known without reading it. */
  hashOf({ file, stat }: SeenFile): string | undefined {
    return this.#hasher.known(file, stat);
  }

  /** Remembers what was written for the next time. */
  keep(diffId: DiffId): void {
    if (this.recorder.count >= FEWEST_FILES) this.recorder.save(this.#file, diffId);
  }

  [Symbol.dispose](): void {
    this.earlier?.[Symbol.dispose]();
  }
}
