const FORMAT = 'tsbuild-stat-cache 2';
const TAB = 9;
/** Hex digits of a sha256. */
const DIGITS = 64;

export interface KnownFacts {
  /** Hex. */
  readonly sha256?: string | undefined;
  /** As JSON. */
  readonly xattrs?: string | undefined;
}

/**
 * The text of a stat cache: records that end with a NUL, which no path has; their fields (stamp, sha256, attributes, path)
 * end with a tab, which only the path, the last one, may have. A tree is walked in the same order each time, so the next
 * record is mostly the one that is wanted, and none is taken apart before.
 */
export class StatCache {
  readonly #records: readonly string[];
  readonly #isUsed: Uint8Array;
  #next = 0;
  #byPath: ReadonlyMap<string, number> | undefined;

  /** A damaged text is as good as none. */
  constructor(text: string) {
    const [format, ...records] = text.split('\0');
    this.#records = format === FORMAT ? records : [];
    this.#isUsed = new Uint8Array(this.#records.length);
  }

  /** What is known of the file in the state that the stamp names. */
  lookup(path: string, stamp: string): KnownFacts {
    const position = isRecordOf(this.#records[this.#next] ?? '', path) ? this.#next : this.#find(path);
    const record = position === undefined ? undefined : this.#records[position];
    if (position === undefined || record === undefined) return {};
    this.#next = position + 1 < this.#records.length ? position + 1 : 0;
    if (!record.startsWith(stamp) || record.charCodeAt(stamp.length) !== TAB) return {};
    const facts = parseFacts(record, stamp.length + 1);
    if (facts === undefined) return {};
    this.#isUsed[position] = 1;
    return facts;
  }

  /** The text of the records that were asked for, and of others instead of them or beside them. */
  with(learned: ReadonlyMap<string, KnownFacts & { readonly stamp: string }>): string {
    const rest = new Map(learned);
    const kept: string[] = [FORMAT];
    for (const [at, record] of this.#records.entries()) {
      const path = pathOf(record);
      const facts = rest.get(path);
      if (facts) kept.push(formatRecord([path, facts]));
      else if (this.#isUsed[at] === 1) kept.push(record);
      rest.delete(path);
    }
    return [...kept, ...[...rest].map(formatRecord)].join('\0');
  }

  #find(path: string): number | undefined {
    this.#byPath ??= new Map(this.#records.map((record, at) => [pathOf(record), at]));
    return this.#byPath.get(path);
  }
}

/** Where the path begins: after the third tab. */
function pathStart(record: string): number {
  const stampEnd = record.indexOf('\t');
  const hashEnd = record.indexOf('\t', stampEnd + 1);
  return stampEnd < 0 || hashEnd < 0 ? 0 : record.indexOf('\t', hashEnd + 1) + 1;
}

const isRecordOf = (record: string, path: string): boolean =>
  record.endsWith(path) && pathStart(record) === record.length - path.length;

/** undefined: damaged. */
function parseFacts(record: string, at: number): KnownFacts | undefined {
  const hashEnd = record.indexOf('\t', at);
  const xattrsEnd = record.indexOf('\t', hashEnd + 1);
  if (hashEnd < 0 || xattrsEnd < 0 || (hashEnd !== at && hashEnd !== at + DIGITS)) return undefined;
  const xattrs = record.slice(hashEnd + 1, xattrsEnd);
  return {
    sha256: hashEnd === at ? undefined : record.slice(at, hashEnd),
    xattrs: xattrs === '' ? undefined : xattrs,
  };
}

const pathOf = (record: string): string => record.slice(pathStart(record));

const formatRecord = ([path, { stamp, sha256 = '', xattrs = '' }]: readonly [
  string,
  KnownFacts & { readonly stamp: string },
]): string => `${stamp}\t${sha256}\t${xattrs}\t${path}`;
