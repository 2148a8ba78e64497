import { sha256 } from '../oci/index.ts';
import type { PathSelection, SelectedSource } from './selected-source.ts';
import type { SourceRoot } from './source-root.ts';
import type { SourceEntry } from './source-walk.ts';

/** Of more files only the directories are written down. */
const MOST_LINES = 50_000;
/** Names in one explanation. */
const MOST_NAMED = 3;
/** Of a hash in hex: short enough to keep, long enough to see a change. */
const DIGITS = 8;

/** What of a file changed: the fields of a line in front of its path, in the order in which a reader wants to know it. */
const ASPECTS = ['content', 'mode', 'owner', 'attributes'] as const;

export interface Fingerprint {
  /** Of the bytes, the link's target, the device's number. */
  readonly content: string;
  /** Of the extended attributes. */
  readonly attributes: string;
}

export const shortHash = (text: string): string => sha256().update(text).digest('hex').slice(0, DIGITS);
export const shortened = (hex: string): string => hex.slice(0, DIGITS);

interface Line {
  readonly path: string;
  readonly facts: string;
}

const textOf = ({ path, facts }: Line): string => `${facts} ${path}`;

function parseLine(text: string): Line {
  const fields = text.split(' ');
  return { facts: fields.slice(0, ASPECTS.length).join(' '), path: fields.slice(ASPECTS.length).join(' ') };
}

/** What of a selection the key covers: of a directory that is named as a source only the contents are copied. */
export const copiedEntries = ({ type, entries }: PathSelection): PathSelection['entries'] =>
  type === 'directory' ? entries.slice(1) : entries;

/** One line a file, or where they are too many, one a directory; `prints` has one for each of `copiedEntries`, in order. */
export function listFiles(
  sources: readonly SelectedSource[],
  prints: readonly Fingerprint[],
  most = MOST_LINES,
): readonly string[] {
  const lines: Line[] = [];
  for (const source of sources) {
    if (source.type === 'inline') continue;
    for (const entry of copiedEntries(source)) lines.push(lineOf(source.root, entry, prints[lines.length]));
  }
  return (lines.length > most ? folded(lines, most) : lines).map(textOf);
}

/** The line of one file. */
export const fileLine = (root: SourceRoot, entry: SourceEntry, print: Fingerprint): string =>
  textOf(lineOf(root, entry, print));

/** What stands behind the facts. */
export const isLineOf = (line: string, path: string): boolean => line.endsWith(path) && parseLine(line).path === path;

function lineOf({ keepsOwners }: SourceRoot, { path, stat }: SourceEntry, print?: Fingerprint): Line {
  const { content = '', attributes = '' } = print ?? {};
  const owner = keepsOwners ? `${stat.uid}:${stat.gid}` : '';
  return { path, facts: `${content} ${stat.mode.toString(8)} ${owner} ${attributes}` };
}

/** Directories in place of their files; the deepest go into their parents until few enough are left. */
function folded(lines: readonly Line[], most: number): readonly Line[] {
  let directories = foldInto(lines, ({ path }) => parentOf(path));
  let depth = Math.max(0, ...directories.map(depthOf));
  for (; directories.length > most && depth > 0; depth--) {
    const limit = depth;
    directories = foldInto(directories, (line) =>
      depthOf(line) >= limit ? parentOf(line.path.slice(0, -1)) : line.path.slice(0, -1),
    );
  }
  return directories.map(({ path, facts }) => ({ path, facts: `${facts} ${depth}  ` }));
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/'))) || '.';
const depthOf = ({ path }: Line): number => (path === './' ? 0 : path.split('/').length - 1);

function foldInto(lines: readonly Line[], directoryOf: (line: Line) => string): readonly Line[] {
  const contents = new Map<string, string[]>();
  for (const line of lines) {
    const directory = directoryOf(line);
    const content = contents.get(directory);
    if (content) content.push(textOf(line));
    else contents.set(directory, [textOf(line)]);
  }
  return [...contents].map(([directory, texts]) => ({ path: `${directory}/`, facts: shortHash(texts.join('\n')) }));
}

const isDirectory = (path: string): boolean => path.endsWith('/');

function aspectOf(before: string | undefined, after: string | undefined): string {
  if (before === undefined) return 'added';
  if (after === undefined) return 'removed';
  const [old, now] = [before.split(' '), after.split(' ')];
  return ASPECTS.find((_, field) => old[field] !== now[field]) ?? ASPECTS[0];
}

/** Files, or directories of one depth, are compared; a list of another kind is not comparable. */
const kindOf = (lines: ReadonlyMap<string, string>): string => {
  const [first] = lines;
  return first && isDirectory(first[0]) ? (first[1].split(' ')[1] ?? '') : 'files';
};

/** Without the lines that both begin with, and those that both end with: mostly all but a few. */
function withoutCommon(before: readonly string[], after: readonly string[]) {
  let start = 0;
  while (start < before.length && before[start] === after[start]) start++;
  let [end, nowEnd] = [before.length, after.length];
  for (; end > start && nowEnd > start && before[end - 1] === after[nowEnd - 1]; end--) nowEnd--;
  return { old: before.slice(start, end), now: after.slice(start, nowEnd) };
}

export interface FileChange {
  readonly path: string;
  /** `added`, `removed`, or what of it differs; of a directory that stands for its files: `changed`. */
  readonly change: string;
}

/** Sorted by path; undefined where the lists do not tell. `before` is what an older build kept. */
export function changedFiles(
  before: readonly string[] | undefined,
  after: readonly string[],
): readonly FileChange[] | undefined {
  if (before === undefined) return undefined;
  const byPath = (lines: readonly string[]): Map<string, string> =>
    new Map(lines.map(parseLine).map(({ path, facts }) => [path, facts]));
  const { old: oldRest, now: nowRest } = withoutCommon(before, after);
  const [old, now] = [byPath(oldRest), byPath(nowRest)];
  const changed = [...new Set([...old.keys(), ...now.keys()])].filter((path) => old.get(path) !== now.get(path)).sort();
  if (changed.length === 0 || (old.size > 0 && now.size > 0 && kindOf(old) !== kindOf(now))) return undefined;
  return changed.map((path) => ({
    path,
    change: isDirectory(path) ? 'changed' : aspectOf(old.get(path), now.get(path)),
  }));
}

/** `2 files changed (src/a.ts content, src/b.ts mode)` */
export function describeChanges(changes: readonly FileChange[]): string {
  const named = changes
    .slice(0, MOST_NAMED)
    .map(({ path, change }) => (isDirectory(path) ? path : `${path} ${change}`))
    // a name could drive the terminal
    .map((text) => text.replace(/\p{Cc}/gu, '\u00b7'));
  const more = changes.length > MOST_NAMED ? [`${changes.length - MOST_NAMED} more`] : [];
  return `${countOf(changes.map(({ path }) => path))} changed (${[...named, ...more].join(', ')})`;
}

function countOf(changed: readonly string[]): string {
  const [one, many] = changed.some(isDirectory) ? ['directory', 'directories'] : ['file', 'files'];
  return `${changed.length} ${changed.length === 1 ? one : many}`;
}
