import { closeSync, openSync, unlinkSync } from 'node:fs';
import type { Row } from './block.ts';
import { FreshRows } from './fresh-rows.ts';
import { NameFilter } from './name-filter.ts';
import { SortedFile } from './sorted-file.ts';
import { SortedWriter } from './sorted-writer.ts';

/** What the rows in memory may take: some 130,000 of them. */
const FRESH_BYTES = 16 * 1024 * 1024;
/** So many runs of a size become one of the next. */
const RUNS_OF_A_SIZE = 8;

/** Rows that were put at one time, in a file without a name. */
interface Run {
  readonly fd: number;
  readonly file: SortedFile;
  readonly names: NameFilter;
  readonly rows: number;
  /** How often they were merged. */
  readonly level: number;
}

/**
 * A map from text to bytes of any size: what does not fit in memory lies in sorted runs on disk (a log-structured merge tree). Of
 * equal keys the last value counts.
 */
export class SortedTable implements Disposable {
  readonly #newPath: () => string;
  readonly #freshBytes: number;
  readonly #fresh = new FreshRows();
  /** Oldest first. */
  #runs: readonly Run[] = [];

  /** `newPath`: a name for a file, which loses it at once. */
  constructor(newPath: () => string, freshBytes = FRESH_BYTES) {
    this.#newPath = newPath;
    this.#freshBytes = freshBytes;
  }

  /** Keeps a copy of the value. */
  put(key: string, value: Uint8Array): void {
    this.#fresh.put(key, value);
    if (this.#fresh.size > this.#freshBytes) this.#spill();
  }

  /** Good until the next call. */
  get(key: string): Buffer | undefined {
    const fresh = this.#fresh.get(key);
    if (fresh !== undefined) return fresh;
    for (let index = this.#runs.length - 1; index >= 0; index--) {
      const run = this.#runs[index];
      const value = run?.names.mayHave(key) ? run.file.get(key) : undefined;
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** In the order of their keys. */
  rows(): Generator<Row> {
    return merge([...this.#runs.map(({ file }) => file.rows()), this.#fresh.rows()]);
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#runs) closeSync(fd);
    this.#runs = [];
  }

  #spill(): void {
    const run = this.#write(this.#fresh.rows(), { rows: this.#fresh.count, level: 0 });
    this.#runs = [...this.#runs, run];
    this.#fresh.clear();
    for (let level = 0; ; level++) {
      const same = this.#runs.filter((one) => one.level === level);
      if (same.length < RUNS_OF_A_SIZE) return;
      const rows = same.reduce((sum, one) => sum + one.rows, 0);
      const merged = this.#write(merge(same.map(({ file }) => file.rows())), { rows, level: level + 1 });
      this.#runs = [...this.#runs.slice(0, -same.length), merged];
      for (const { fd } of same) closeSync(fd);
    }
  }

  #write(rows: Iterable<Row>, about: Pick<Run, 'rows' | 'level'>): Run {
    const path = this.#newPath();
    const fd = openSync(path, 'wx+', 0o600);
    try {
      unlinkSync(path);
      const names = new NameFilter(about.rows);
      const writer = new SortedWriter(fd);
      for (const { key, value } of rows) {
        names.add(key);
        writer.add(key, value);
      }
      return { ...about, fd, names, file: new SortedFile(fd, writer.finish()) };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }
}

/** Of equal keys the row of the last source. */
function* merge(sources: readonly Generator<Row>[]): Generator<Row> {
  const heads = sources.map((source) => source.next().value);
  for (;;) {
    let least: Row | undefined;
    for (const head of heads) if (head && (least === undefined || head.key <= least.key)) least = head;
    if (least === undefined) return;
    yield least;
    const { key } = least;
    for (let index = 0; index < heads.length; index++) {
      if (heads[index]?.key === key) heads[index] = sources[index]?.next().value;
    }
  }
}
