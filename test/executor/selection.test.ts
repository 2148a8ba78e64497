import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { selectSources } from '../../src/executor/selection.ts';
import { tempDir } from '../support/temp-dir.ts';
import { copyOp, sourceRoot } from './support/copying.ts';

const FILES = [
  'a.md',
  'b.txt',
  'Containerfile',
  'src/x.c',
  'src/x.h',
  'src/deep/y.c',
  'node_modules/m/index.js',
  'keep/out/k',
];

function tree(): string {
  const root = tempDir();
  for (const file of FILES) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), file);
  }
  return root;
}

/** The files (not the directories) that `sources` stand for. */
function select(directory: string, sources: readonly string[], ignore?: string): string[] {
  return selectSources(copyOp(sources, '/'), () => sourceRoot(directory, ignore)).flatMap((source) => {
    if (source.type === 'inline') return [source.name];
    return source.entries.filter((entry) => !entry.stat.isDirectory()).map((entry) => entry.path);
  });
}

const refusal = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return error;
  }
};

describe('patterns', () => {
  it.each<[string, string[]]>([
    ['*', FILES.toSorted()],
    ['*.md', ['a.md']],
    ['src/*.?', ['src/x.c', 'src/x.h']],
    ['*/*.c', ['src/x.c']],
    ['*/*/*', ['keep/out/k', 'node_modules/m/index.js', 'src/deep/y.c']],
    ['[^a-z]*', ['Containerfile']],
    ['src/x.[ch]', ['src/x.c', 'src/x.h']],
    ['../*.md', ['a.md']],
  ])('%s', (pattern, files) => {
    expect(select(tree(), [pattern]).toSorted()).toEqual(files);
  });

  it('match literal brackets when they are written as classes (8.3 #64)', () => {
    const root = tempDir();
    writeFileSync(join(root, 'arr[0].txt'), '');
    expect(select(root, ['arr[[]0].txt'])).toEqual(['arr[0].txt']);
  });

  it('may match nothing when another source is there', () => {
    expect(select(tree(), ['a.md', 'z*'])).toEqual(['a.md']);
  });

  it('follow links in the middle, inside the root', () => {
    const root = tree();
    symlinkSync('/src', join(root, 'link'));
    expect(select(root, ['link/*.c'])).toEqual(['src/x.c']);
  });
});

describe('the ignore file', () => {
  it.each<[string, string, string[]]>([
    ['a directory', 'node_modules', FILES.filter((file) => !file.startsWith('node_modules'))],
    ['all but some (8.3 #87)', '*\n!src/**/*.c', ['src/deep/y.c', 'src/x.c']],
    [
      'a parent with a child taken in again (8.3 #88)',
      'keep\n!keep/out/k\nsrc\nnode_modules',
      ['Containerfile', 'a.md', 'b.txt', 'keep/out/k'],
    ],
    ['CRLF, blanks and leading slashes (8.3 #87)', '/src\r\n keep \r\n**/m\r\n', ['Containerfile', 'a.md', 'b.txt']],
    ['the Containerfile itself (8.3 #87)', 'Containerfile\nsrc\nkeep\nnode_modules', ['a.md', 'b.txt']],
  ])('leaves out %s', (_name, ignore, files) => {
    expect(select(tree(), ['.'], ignore).toSorted()).toEqual(files.toSorted());
  });

  it('leaves out a link by its own name and by what it leads to', () => {
    const root = tree();
    symlinkSync('a.md', join(root, 'link'));
    expect(refusal(() => select(root, ['link'], 'link'))).toMatchObject({ code: 'E_IGNORED_SOURCE' });
    expect(refusal(() => select(root, ['link'], 'a.md'))).toMatchObject({
      code: 'E_IGNORED_SOURCE',
      hint: expect.stringContaining('"a.md"'),
    });
  });

  it('is named with line and pattern in the error', () => {
    const error = refusal(() => select(tree(), ['src/x.c'], '# comment\n*.md\nsrc\n'));
    expect(error).toMatchObject({
      code: 'E_IGNORED_SOURCE',
      message: 'Cannot copy "src/x.c": excluded by .containerignore',
      hint: expect.stringContaining('.containerignore:3 has the pattern "src"'),
    });
  });

  it('explains a pattern whose matches are all ignored', () => {
    expect(refusal(() => select(tree(), ['*.md'], '*.md'))).toMatchObject({
      code: 'E_IGNORED_SOURCE',
      hint: '1 match: .containerignore:1 has the pattern "*.md"; change it, or add the line "!*.md" after it',
    });
  });

  it('does not read an ignored directory', () => {
    const root = tree();
    symlinkSync('loop', join(root, 'node_modules/loop'));
    expect(select(root, ['.'], 'node_modules')).not.toContain('node_modules/m/index.js');
  });
});

it('does not suggest a link that leads to nothing in the context, but says so', () => {
  const root = tree();
  symlinkSync('../../outside', join(root, 'away'));
  expect(refusal(() => select(root, ['away']))).toMatchObject({ hint: expect.stringContaining('symbolic link') });
});

it('suggests the name that was meant', () => {
  expect(refusal(() => select(tree(), ['src/x.cc']))).toMatchObject({ hint: 'Did you mean "src/x.c"?' });
});

it('says of a name that is too long what is wrong', () => {
  expect(refusal(() => select(tree(), ['n'.repeat(300)]))).toMatchObject({ code: 'E_CONTEXT' });
});
