import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hashSources } from '../../src/executor/content-hash.ts';
import { FileHasher } from '../../src/executor/file-hasher.ts';
import { FileStat, statusOf } from '../../src/executor/file-stat.ts';
import { selectSources } from '../../src/executor/selection.ts';
import { StatCache } from '../../src/executor/stat-cache.ts';
import { tempDir } from '../support/temp-dir.ts';
import { copyOp, sourceRoot } from './support/copying.ts';

/** Long ago: what is hashed is remembered. */
const OLD = 1_000_000_000;

function tree(): string {
  const root = join(tempDir(), 'context');
  mkdirSync(join(root, 'd/sub'), { recursive: true });
  for (const file of ['d/a', 'd/b', 'd/sub/c']) writeFileSync(join(root, file), 'same');
  symlinkSync('a', join(root, 'd/link'));
  return root;
}

function key(root: string, sources = ['d'], hasher = new FileHasher(join(root, '../cache'))): string {
  const from = sourceRoot(root);
  return hashSources(
    selectSources(copyOp(sources, '/'), () => from),
    hasher,
  );
}

describe('the key of a COPY', () => {
  it.each<[string, (d: string) => void]>([
    ['content', (d) => writeFileSync(join(d, 'a'), 'SAME')],
    ['a mode', (d) => chmodSync(join(d, 'a'), 0o700)],
    ['a directory mode', (d) => chmodSync(join(d, 'sub'), 0o700)],
    ['a name', (d) => renameSync(join(d, 'a'), join(d, 'aa'))],
    ['a new file', (d) => writeFileSync(join(d, 'new'), '')],
    ['a new empty directory', (d) => mkdirSync(join(d, 'new'))],
    ['a removed file', (d) => rmSync(join(d, 'b'))],
    ['a link target', (d) => execFileSync('ln', ['-sfn', 'b', join(d, 'link')])],
    ['a file in place of a link', (d) => execFileSync('cp', ['--remove-destination', join(d, 'a'), join(d, 'link')])],
    ['a hard link in place of a copy', (d) => execFileSync('ln', ['-f', join(d, 'a'), join(d, 'b')])],
    ['an extended attribute (8.3 #92)', (d) => execFileSync('setfattr', ['-n', 'user.x', '-v', '1', join(d, 'a')])],
  ])('changes with %s', (_name, change) => {
    const root = tree();
    const before = key(root);
    change(join(root, 'd'));
    expect(key(root)).not.toBe(before);
  });

  it.each<[string, (root: string) => void]>([
    ['times', (root) => utimesSync(join(root, 'd/a'), OLD, OLD)],
    ['files that are not copied', (root) => writeFileSync(join(root, 'other'), '')],
    ['the mode of the directory whose contents are copied', (root) => chmodSync(join(root, 'd'), 0o700)],
    ['a hard link outside of the sources', (root) => linkSync(join(root, 'd/a'), join(root, 'other'))],
  ])('does not change with %s', (_name, change) => {
    const root = tree();
    const before = key(root);
    change(root);
    expect(key(root)).toBe(before);
  });

  it('tells linked from equal files over two sources', () => {
    const root = tree();
    const before = key(root, ['d/a', 'd/b']);
    execFileSync('ln', ['-f', join(root, 'd/a'), join(root, 'd/b')]);
    expect(key(root, ['d/a', 'd/b'])).not.toBe(before);
  });

  it('covers names and text of heredocs', () => {
    const root = tree();
    const keys = ['<<a:x', '<<b:x', '<<a:y'].map((source) => key(root, [source]));
    expect(new Set(keys).size).toBe(3);
  });
});

describe('remembered hashes', () => {
  const stat = (file: string) => new FileStat(statusOf(statSync(file, { bigint: true })));
  const placed = (file: string) => ({ root: sourceRoot(dirname(file)), path: basename(file) });

  /** A file that is old enough, and what was remembered of it. ctime cannot be set: it is waited for by the clock. */
  function remembered(): { readonly file: string; readonly cache: string } {
    const directory = tempDir();
    const file = join(directory, 'file');
    const cache = join(directory, 'cache');
    writeFileSync(file, 'abc');
    return { file, cache };
  }

  it('are not kept for a file that may change within the same tick', () => {
    const { file, cache } = remembered();
    const hasher = new FileHasher(cache);
    hasher.hash(placed(file), stat(file));
    hasher.save();
    expect(readFileSync(cache, 'latin1')).not.toContain(file);
  });

  it('are used while the file is as it was, and only then', () => {
    const file = realpathSync('/bin/sh');
    const cache = join(tempDir(), 'cache');
    const first = new FileHasher(cache);
    const hash = first.hash(placed(file), stat(file));
    first.save();
    const { stamp } = stat(file);
    const sha256 = 'f'.repeat(64);
    const remember = (stamp: string): void =>
      writeFileSync(cache, new StatCache(readFileSync(cache)).with(new Map([[file, { stamp, sha256 }]])));
    remember(stamp);
    const second = new FileHasher(cache);
    expect(second.hash(placed(file), stat(file))).toBe(sha256);
    remember(stamp.replace(/.$/su, 'x'));
    expect(new FileHasher(cache).hash(placed(file), stat(file))).toBe(hash);
  });

  it.each([
    ['a network file system', 120_000],
    ['a file system whose ctime is none', Number.POSITIVE_INFINITY],
  ])('are not kept for a file of %s that was just left alone', (_where, window) => {
    const file = realpathSync('/bin/sh');
    const cache = join(tempDir(), 'cache');
    const age = Date.now() - stat(file).newestMs;
    const hasher = new FileHasher(cache, () => Math.max(window, age + 1000));
    hasher.hash(placed(file), stat(file));
    hasher.save();
    expect(readFileSync(cache, 'utf8')).not.toContain(file);
  });

  it('are those of the bytes, for a file with holes too', () => {
    const { file, cache } = remembered();
    truncateSync(file, 5_000_000);
    const expected = createHash('sha256').update(readFileSync(file)).digest('hex');
    expect(new FileHasher(cache).hash(placed(file), stat(file))).toBe(expected);
  });

  it('notice a changed file of the same size', () => {
    const { file, cache } = remembered();
    const before = new FileHasher(cache).hash(placed(file), stat(file));
    writeFileSync(file, 'xyz');
    expect(new FileHasher(cache).hash(placed(file), stat(file))).not.toBe(before);
  });

  it.each([
    '',
    'garbage',
    'tsbuild-stat-cache 1\nnot json\n',
    'tsbuild-stat-cache 1\n[1,2,3]\n{}\n["/bin/sh","x","short"]\n',
  ])('survive a damaged file: %j', (text) => {
    const { file, cache } = remembered();
    writeFileSync(cache, text);
    expect(new FileHasher(cache).hash(placed(file), stat(file))).toMatch(/^ba7816bf/);
  });

  it('fail for a file that changed since it was looked at', () => {
    const { file, cache } = remembered();
    const seen = stat(file);
    utimesSync(file, OLD, OLD);
    expect(() => new FileHasher(cache).hash(placed(file), seen)).toThrow(/changed while it was read/);
  });

  it('do not fail a build where they cannot be written', () => {
    const { file } = remembered();
    const hasher = new FileHasher(join(file, 'no', 'cache'));
    hasher.hash(placed(file), stat(file));
    expect(() => hasher.save()).not.toThrow();
  });
});
