import { describeAlone, hashTexts } from './content-hash.ts';
import { type FileHasher, freshReader } from './file-hasher.ts';
import { type FileStat, STAMP_BYTES } from './file-stat.ts';
import { lstatOf } from './file-status.ts';
import { type Looks, UNSETTLED } from './read-log.ts';
import type { SelectedTexts } from './selected-texts.ts';
import type { SelectionRecord } from './selection-record.ts';
import { placeOf } from './source-cursor.ts';
import { fileLine, isLineOf } from './source-files.ts';
import { isAbove, relativeTo } from './source-path.ts';
import { listSource, type SourceRoot } from './source-root.ts';

interface Place {
  readonly root: SourceRoot;
  readonly hasher: FileHasher;
}

interface Change {
  readonly record: SelectionRecord;
  /** Positions of paths whose stamps are others than in the record. */
  readonly changed: readonly number[];
  readonly before: SelectedTexts;
}

interface Edited {
  /** `before` itself where nothing that counts is another. */
  readonly texts: SelectedTexts;
  readonly looks: Looks;
}

/**
 * A selection of which only some files were edited: these are read, and nothing else. undefined: there may be other files than
 * before, or what changed is no regular file of one name and no directory.
 */
export function editSelection({ root, hasher }: Place, { record, changed, before }: Change): Edited | undefined {
  const begun = Date.now();
  const texts = [...before.texts];
  const lines = [...before.lines];
  const stamps = Buffer.from(record.stamps);
  const unsettled = new Map<number, string>();
  for (const position of changed) {
    const path = record.paths[position] ?? '';
    const stat = lstatOf(placeOf(root, path));
    const isOnTheWay = stat.isDirectory() && isAbove(path, before.directory);
    if (stat.isDirectory() ? !isOnTheWay && !hasSameNames(root, record, path) : !isPlainFile(stat)) return undefined;
    const isSettled = hasher.isSettled({ root, path }, stat, begun);
    if (!isSettled) unsettled.set(position, stat.stamp);
    stamps.write(isSettled ? stat.stamp : UNSETTLED, position * STAMP_BYTES, 'latin1');
    // of the directory itself only its contents are copied
    if (isOnTheWay || (path === before.directory && stat.isDirectory())) continue;
    const at = before.lines.findIndex((line) => isLineOf(line, path));
    if (at < 0 || kindOf(before.texts[at + 1]) !== (stat.isDirectory() ? 'directory' : 'file')) return undefined;
    const entry = { relative: relativeTo(before.directory, path), path, stat };
    const { text, print } = describeAlone(root, entry, freshReader);
    texts[at + 1] = text;
    lines[at] = fileLine(root, entry, print);
  }
  const { paths, listings } = record;
  const looks = { paths, listings, stamps, unsettled };
  const digest = hashTexts(texts);
  return { looks, texts: digest === before.digest ? before : { digest, directory: before.directory, texts, lines } };
}

const isPlainFile = (stat: FileStat): boolean => stat.isFile() && stat.nlink === 1;

/** The first member of a text of `describeAlone`. */
const kindOf = (text = ''): string => /^\["(\w+)"/.exec(text)?.[1] ?? '';

/** Names that are left out of the context were not noted: with them the names are never the same. */
function hasSameNames(root: SourceRoot, { paths, listings }: SelectionRecord, path: string): boolean {
  const listing = listings.find(({ directory }) => paths[directory] === path);
  if (!listing) return false;
  const start = path === '' ? 0 : path.length + 1;
  const { start: first, count } = listing;
  const names = listSource(root, path);
  return names.length === count && names.every((name, at) => paths[first + at]?.slice(start) === name);
}
