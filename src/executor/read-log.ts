import { type FileStat, STAMP_BYTES } from './file-stat.ts';

/** The stamp of a path where nothing is. */
export const ABSENT = '\0'.repeat(STAMP_BYTES);
/** The stamp of a file that may change again without its times changing: no file has it, so it is looked at anew. */
export const UNSETTLED = '\xff'.repeat(STAMP_BYTES);
/** Of files that changed or have not settled: with more (a tree that was just checked out) all are gone through. */
export const MOST_CHANGED = 64;

/** The names of a directory that were looked at: `count` paths one after another. */
export interface Listing {
  /** Position of the directory. */
  readonly directory: number;
  /** Position of the first name. */
  readonly start: number;
  readonly count: number;
}

/** What was looked at below a root, in order; a path may be there twice. */
export interface Looks {
  /** Relative to the root; `''` is the root itself. */
  readonly paths: readonly string[];
  /** `STAMP_BYTES` for each: see `FileStat.stamp`, `ABSENT`, `UNSETTLED`. */
  readonly stamps: Buffer;
  /** The stamps of those, by position. */
  readonly unsettled: ReadonlyMap<number, string>;
  readonly listings: readonly Listing[];
}

/** What an earlier build looked at. */
export interface EarlierLooks extends Pick<Looks, 'paths' | 'listings'> {
  stampAt(position: number): string;
}

/** Whether whatever is read of a file from now on is that of its stamp. */
type IsSettled = (path: string, stat: FileStat) => boolean;

const NOTHING: EarlierLooks = { paths: [], listings: [], stampAt: () => ABSENT };

interface LooksSoFar {
  readonly paths: string[];
  readonly stamps: string[];
  readonly unsettled: Map<number, string>;
  readonly listings: Listing[];
}

/** Notes what is looked at below a source root, as long as a later look could tell that all of it is as it was. */
export class ReadLog {
  readonly #directories = new Map<string, { readonly position: number; readonly stamp: string }>();
  /** undefined: it was listed twice, and what was left out may differ by source. */
  readonly #known = new Map<string, Listing | undefined>();
  #earlier = NOTHING;
  #looks: LooksSoFar | undefined;
  #isSettled: IsSettled = () => false;

  /** `earlier`: looks at the same selection. */
  start(isSettled: IsSettled, earlier = NOTHING): void {
    this.end();
    this.#looks = { paths: [], stamps: [], unsettled: new Map(), listings: [] };
    this.#isSettled = isSettled;
    this.#earlier = earlier;
    for (const listing of earlier.listings) {
      const path = earlier.paths[listing.directory] ?? '';
      this.#known.set(path, this.#known.has(path) ? undefined : listing);
    }
  }

  add(path: string, stat: FileStat | undefined): void {
    if (stat?.isDirectory())
      this.#directories.set(path, { position: this.#looks?.paths.length ?? 0, stamp: stat.stamp });
    if (!this.#looks) return;
    const { paths, stamps, unsettled } = this.#looks;
    const isSettled = !stat || this.#isSettled(path, stat);
    if (!isSettled) unsettled.set(paths.length, stat.stamp);
    if (unsettled.size > MOST_CHANGED) return this.giveUp();
    paths.push(path);
    stamps.push(isSettled ? (stat?.stamp ?? ABSENT) : UNSETTLED);
  }

  /** The names in a directory change with its stamp: that must be known before they are read. */
  listing(path: string): void {
    if (!this.#directories.has(path)) this.giveUp();
  }

  /** The next paths to come are the names in the directory. */
  listed(path: string, count: number): void {
    const directory = this.#directories.get(path)?.position;
    if (this.#looks && directory !== undefined)
      this.#looks.listings.push({ directory, start: this.#looks.paths.length, count });
  }

  /** The names in a directory that has not changed since an earlier build looked at them; undefined: it must be read. */
  namesIn(path: string): string[] | undefined {
    const listing = this.#known.get(path);
    if (!listing || this.#directories.get(path)?.stamp !== this.#earlier.stampAt(listing.directory)) return undefined;
    const { start, count } = listing;
    const at = path === '' ? 0 : path.length + 1;
    return this.#earlier.paths.slice(start, start + count).map((name) => name.slice(at));
  }

  /** undefined: no stamps can stand for what was read. */
  end(): Looks | undefined {
    const looks = this.#looks;
    this.giveUp();
    this.#directories.clear();
    this.#known.clear();
    this.#earlier = NOTHING;
    return looks && { ...looks, stamps: Buffer.from(looks.stamps.join(''), 'latin1') };
  }

  /** Something was not as it should be: nothing is remembered of it. */
  giveUp(): void {
    this.#looks = undefined;
  }
}
