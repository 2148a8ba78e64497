import { type FileStat, STAMP_BYTES } from './file-stat.ts';

/** The stamp of a path where nothing is. */
export const ABSENT = '\0'.repeat(STAMP_BYTES);

/** What was looked at below a root, in order; a path may be there twice. */
export interface Looks {
  /** Relative to the root; `''` is the root itself. */
  readonly paths: readonly string[];
  /** See `FileStat.stamp`. */
  readonly stamps: readonly string[];
}

/** Whether whatever is read of a file from now on is that of its stamp. */
type IsSettled = (path: string, stat: FileStat) => boolean;

/** Notes what is looked at below a source root, as long as a later look could tell that all of it is as it was. */
export class ReadLog {
  #paths: string[] = [];
  #stamps: string[] = [];
  readonly #directories = new Set<string>();
  #isSettled: IsSettled | undefined;

  start(isSettled: IsSettled): void {
    this.#paths = [];
    this.#stamps = [];
    this.#directories.clear();
    this.#isSettled = isSettled;
  }

  add(path: string, stat: FileStat | undefined): void {
    if (!this.#isSettled) return;
    if (stat && !this.#isSettled(path, stat)) return this.#giveUp();
    this.#paths.push(path);
    this.#stamps.push(stat?.stamp ?? ABSENT);
    if (stat?.isDirectory()) this.#directories.add(path);
  }

  /** The names in a directory change with its stamp: that must be known before they are read. */
  listing(path: string): void {
    if (!this.#directories.has(path)) this.#giveUp();
  }

  /** undefined: no stamps can stand for what was read. */
  end(): Looks | undefined {
    const looks = this.#isSettled && { paths: this.#paths, stamps: this.#stamps };
    this.#giveUp();
    return looks;
  }

  #giveUp(): void {
    this.#isSettled = undefined;
    this.#paths = [];
    this.#stamps = [];
    this.#directories.clear();
  }
}
