import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryView } from '../support/memory-view.ts';
import { tempDir } from '../support/temp-dir.ts';
import { type CopyOptions, copy, copyOp, sourceRoot } from './support/copying.ts';

const FILES = [
  'a/b/c/x.txt',
  'a/b/c/y.md',
  'a/b/z.txt',
  'a/b2/c/x.txt',
  'a/top.txt',
  'other/x.txt',
  'keep.md',
  'readme.md',
];

function context(): string {
  const root = tempDir();
  for (const file of FILES) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), `content of ${file}`);
  }
  symlinkSync('a/b', join(root, 'link'));
  return root;
}

/** The files below `/out`, without directories. */
async function files(sources: readonly string[], options: CopyOptions, root = context()): Promise<readonly string[]> {
  const { paths } = await copy(copyOp(sources, '/out/', options), { root });
  return paths.filter((path) => !path.endsWith('/')).map((path) => path.replace(/^\/out\//, ''));
}

const refusal = async (copying: Promise<unknown>): Promise<unknown> => copying.then(() => undefined).catch((e) => e);

describe('--parents (8.3 #80)', () => {
  it.each<[string, string[], string[]]>([
    ['a file with its directories', ['a/b/z.txt'], ['a/b/z.txt']],
    ['a directory with all of it', ['/a/b/c/.'], ['a/b/c/x.txt', 'a/b/c/y.md']],
    ['what follows the pivot', ['a/./b/*.txt'], ['b/z.txt']],
    ['only the first pivot', ['a/./b/./c'], ['b/c/x.txt', 'b/c/y.md']],
    ['a wildcard in front of the pivot', ['a/b*/./c/x.txt'], ['c/x.txt']],
    ['any number of directories for **', ['**/*.txt'], FILES.filter((file) => file.endsWith('.txt'))],
    ['no directory for **', ['a/**/top.txt'], ['a/top.txt']],
    ['one directory for *', ['*/x.txt'], ['other/x.txt']],
    ['a link as a link', ['link'], ['link']],
    ['paths with .. inside the context', ['../a/top.txt'], ['a/top.txt']],
    ['everything behind a pivot at the end', ['a/b2/./'], ['c/x.txt']],
  ])('takes %s', async (_name, sources, expected) => {
    expect(await files(sources, { parents: true })).toEqual(expected.toSorted());
  });

  it('gives the directories on the way the attributes that they have in the source', async () => {
    const root = context();
    chmodSync(join(root, 'a'), 0o711);
    utimesSync(join(root, 'a'), 5, 50);
    const { entries, paths } = await copy(copyOp(['a/b/z.txt'], '/out', { parents: true, chown: '3:4' }), { root });
    expect(paths).toEqual(['/out/', '/out/a/', '/out/a/b/', '/out/a/b/z.txt']);
    expect(entries.get('/out/a')).toMatchObject({ mode: 0o711, mtime: 50, uid: 3, gid: 4 });
    expect(entries.get('/out')).toMatchObject({ mode: 0o755, uid: 3, gid: 4 });
  });

  it('gives an existing directory on the way the mode of the source, and leaves it its owner', async () => {
    const root = context();
    chmodSync(join(root, 'a'), 0o711);
    const view = memoryView({ '/a': 'dir', '/a/b': 'dir' });
    const op = copyOp(['a/b/z.txt'], '/', { parents: true, chown: '3:4', chmod: '600' });
    const { entries } = await copy(op, { root, view });
    expect(entries.get('/a')).toMatchObject({ mode: 0o711, uid: 0, gid: 0, mtime: 1000 });
    expect(entries.get('/a/b/z.txt')).toMatchObject({ mode: 0o600, uid: 3, gid: 4 });
  });

  it('makes the destination where a wildcard matches nothing, as BuildKit does', async () => {
    const { paths } = await copy(copyOp(['a/zz*/x'], '/out', { parents: true }), { root: context() });
    expect(paths).toEqual(['/out/']);
  });

  it.each<[string, string, string, string]>([
    ['a path that is not there', 'a/b/nope.txt', 'no such file', 'relative to the root'],
    ['a misspelt path', 'a/b/c/xx.txt', 'no such file', 'Did you mean "a/b/c/x.txt"?'],
    ['a pivot that is not there', 'nope/./*.txt', 'no such file', 'relative to the root'],
    ['a path through a link', 'link/z.txt', 'leads through a link', '"a/b/z.txt"'],
  ])('refuses %s', async (_name, source, message, hint) => {
    const error = await refusal(copy(copyOp([source], '/out', { parents: true }), { root: context() }));
    expect(error).toMatchObject({ code: 'E_NOT_IN_CONTEXT', range: { start: { line: 2 } } });
    expect(error).toHaveProperty('message', expect.stringContaining(message));
    expect(error).toHaveProperty('hint', expect.stringContaining(hint));
  });

  it('names the ignore file that hides the path', async () => {
    const op = copyOp(['a/b/z.txt'], '/out', { parents: true });
    expect(await refusal(copy(op, { root: sourceRoot(context(), 'other\na/**/z.txt') }))).toMatchObject({
      code: 'E_IGNORED_SOURCE',
      hint: expect.stringContaining('.containerignore:2 has the pattern "a/**/z.txt"'),
    });
  });

  it('does not look into directories that the pattern cannot reach', async () => {
    const root = context();
    mkdirSync(join(root, 'secret/a'), { recursive: true });
    execFileSync('mkfifo', [join(root, 'secret/a/pipe')]);
    const reads: string[] = [];
    const from = {
      ...sourceRoot(root),
      xattrsOf: ({ path }: { readonly path: string }) => {
        reads.push(path);
        return new Map<string, Uint8Array>();
      },
    };
    await copy(copyOp(['a/**/x.txt'], '/out', { parents: true }), { root: from });
    expect(reads.filter((file) => file.includes('secret') || file.includes('other'))).toEqual([]);
  });
});

describe('--exclude (8.3 #81)', () => {
  it.each<[string, string[], string[], string[]]>([
    ['names at the top only', ['.'], ['*.md'], FILES.filter((file) => !/^\w+\.md$/.test(file))],
    ['names at any depth', ['.'], ['**/*.md'], FILES.filter((file) => !file.endsWith('.md'))],
    ['directories with what is in them', ['.'], ['**/c', 'other'], ['a/b/z.txt', 'a/top.txt', 'keep.md', 'readme.md']],
    ['not what a later pattern takes in again', ['.'], ['*', '!keep.md'], ['keep.md']],
    ['all but what is taken in below', ['.'], ['**', '!a/b/c/*.md'], ['a/b/c/y.md']],
    ['by paths relative to the directory that is copied', ['a/b'], ['c/x.txt', 'a/b/z.txt'], ['c/y.md', 'z.txt']],
    ['what a wildcard matches, by its name', ['a/*.txt', '*.md'], ['top.txt', 'r*'], ['keep.md']],
    ['what a wildcard matches, by its path', ['a/*.txt', '*.md'], ['a/*'], ['keep.md', 'readme.md']],
    ['not what a wildcard matches and a pattern takes in again', ['*.md'], ['*.md', '!keep.md'], ['keep.md']],
    ['not a file that is named', ['keep.md'], ['*.md'], ['keep.md']],
    ['with a leading slash or ./', ['.'], ['/a', './other'], ['keep.md', 'readme.md']],
  ])('leaves out %s', async (_name, sources, exclude, expected) => {
    const left = await files(sources, { exclude });
    expect(left.filter((path) => path !== 'link')).toEqual(expected.toSorted());
  });

  it('goes together with --parents and with the ignore file', async () => {
    const root = sourceRoot(context(), '*.md');
    const { paths } = await copy(copyOp(['**/*.txt', '*.md'], '/', { parents: true, exclude: ['**/b'] }), { root });
    expect(paths.filter((path) => !path.endsWith('/'))).toEqual(['/a/b2/c/x.txt', '/a/top.txt', '/other/x.txt']);
  });

  it('leaves an empty destination where nothing of matched directories is left, as BuildKit does', async () => {
    const { paths } = await copy(copyOp(['a*'], '/out', { exclude: ['*'] }), { root: context() });
    expect(paths).toEqual(['/out/']);
  });

  it('says so where no match of a wildcard is left', async () => {
    const op = copyOp(['*.md'], '/out', { exclude: ['*.md'] });
    expect(await refusal(copy(op, { root: context() }))).toMatchObject({
      code: 'E_NOT_IN_CONTEXT',
      message: 'Cannot copy "*.md": --exclude leaves nothing of its 2 matches',
      hint: expect.stringContaining('"*.md"'),
    });
  });
});

describe('flags together', () => {
  it('apply owner, mode, parents and exclusion at once', async () => {
    const op = copyOp(['a/./**/*.txt'], '/out', {
      parents: true,
      exclude: ['b2'],
      chown: '7',
      chmod: 'u=rwX,go=',
      link: true,
    });
    const { entries, paths } = await copy(op, { root: context() });
    expect(paths).toEqual(['/out/', '/out/b/', '/out/b/c/', '/out/b/c/x.txt', '/out/b/z.txt', '/out/top.txt']);
    expect(entries.get('/out/b/c')).toMatchObject({ mode: 0o700, uid: 7, gid: 7 });
    expect(entries.get('/out/b/z.txt')).toMatchObject({ mode: 0o600, uid: 7, gid: 7 });
  });
});
