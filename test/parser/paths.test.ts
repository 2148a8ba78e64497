import { describe, expect, it } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import {
  codeFrame,
  filepathMatch,
  hasWildcard,
  parseIgnoreFile,
  splitPathPattern,
  suggest,
} from '../../src/parser/index.ts';

const ignore = (...lines: string[]) => parseIgnoreFile(lines.join('\n'), '.containerignore');

describe('an ignore file', () => {
  it('reads comments, blanks, CRLF and a byte order mark', () => {
    const file = parseIgnoreFile('\ufeff# comment\r\n  /a/../b/  \r\n\r\n # no comment\r\n!  /b/keep\r\n', 'f');
    expect(file.patterns).toEqual([
      { text: '/a/../b/', line: 2, negated: false, path: 'b' },
      { text: '# no comment', line: 4, negated: false, path: '# no comment' },
      { text: '!  /b/keep', line: 5, negated: true, path: 'b/keep' },
    ]);
    expect(file.match('b/x').ignored).toBe(true);
    expect(file.match('b/keep/x').ignored).toBe(false);
  });

  it('names the pattern that decided', () => {
    const file = ignore('*.md', '!README.md', 'docs');
    expect(file.match('docs/README.md').pattern?.line).toBe(3);
    expect(file.match('README.md')).toMatchObject({ ignored: false, pattern: { line: 2 } });
    expect(file.match('src/a.ts')).toEqual({ ignored: false });
  });

  it('never ignores the root of the context', () => {
    expect(ignore('**', '*', '.').match('.').ignored).toBe(false);
    expect(ignore('**').match('').ignored).toBe(false);
  });

  it('leaves out a directory below which nothing can come back', () => {
    expect(ignore('node_modules').canSkipDirectory('node_modules')).toBe(true);
    expect(ignore('node_modules').canSkipDirectory('node_modules/a')).toBe(true);
    expect(ignore('node_modules').canSkipDirectory('src')).toBe(false);
    expect(ignore('a', '!a/b').canSkipDirectory('a')).toBe(false);
    expect(ignore('a', '!a/b').canSkipDirectory('a/c')).toBe(true);
    expect(ignore('!a/b', 'a').canSkipDirectory('a')).toBe(true);
    expect(ignore('a', '!**/keep').canSkipDirectory('a/b')).toBe(false);
    expect(ignore('a', '!*/b/*.txt').canSkipDirectory('a')).toBe(false);
    expect(ignore('a', '!x/b').canSkipDirectory('a')).toBe(true);
  });

  it('never leaves out a directory with a file that is not ignored', () => {
    const paths = ['a', 'b', 'a/a', 'a/b', 'a/a/b', 'a/b/a', 'b/a/b', 'a/b/b/a'];
    const patterns = ['a', '*', '**', 'a/*', '**/b', '!a/b', '!**/a', '!*/b', '!a', 'a/b', '!a/b/*'];
    for (const one of patterns) {
      for (const two of patterns) {
        for (const three of patterns) {
          const file = ignore(one, two, three);
          for (const directory of paths.filter((path) => file.canSkipDirectory(path))) {
            for (const below of paths) {
              expect([one, two, three, file.match(`${directory}/${below}`).ignored]).toEqual([one, two, three, true]);
            }
          }
        }
      }
    }
  });

  it('gives a malformed pattern its line', () => {
    try {
      ignore('ok', '  [a');
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof BuildError) || !error.range) throw error;
      expect(error.code).toBe('E_CONTEXT');
      expect(codeFrame(error.range)).toBe('  1 | ok\n> 2 |   [a\n    |   ^^');
    }
  });

  it('gives the same answer for many stars as for few', () => {
    expect(ignore('*a*b*c*d').match('xaxbxcxd').ignored).toBe(true);
    expect(ignore('*a*b*c*d').match('xaxbx/cxd').ignored).toBe(false);
    expect(ignore('**/a*/**/b*/**/c*').match('x/a1/y/z/b2/c3').ignored).toBe(true);
    expect(ignore('**/a*/**/b*/**/c*').match('x/a1/y/z/c3').ignored).toBe(false);
  });
});

describe('filepathMatch', () => {
  // Rows of Go's own test (path/filepath/match_test.go).
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['*c', 'abc', true],
    ['a*', 'ab/c', false],
    ['a*/b', 'a/c/b', false],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/f', true],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/fff', false],
    ['a*b?c*x', 'abxbbxdbxebxczzx', true],
    ['ab[c]', 'abc', true],
    ['ab[^e-g]', 'abc', true],
    ['a\\*b', 'a*b', true],
    ['a?b', 'a☺b', true],
    ['a???b', 'a☺b', false],
    ['[a-ζ]*', 'α', true],
    ['a?b', 'a/b', false],
    ['arr[[]0].txt', 'arr[0].txt', true],
    ['*', '.hidden', true],
  ];
  for (const [pattern, name, matches] of rows) {
    it(`${pattern} ${matches ? 'matches' : 'does not match'} ${name}`, () => {
      expect(filepathMatch(pattern, name)).toBe(matches);
    });
  }

  it('refuses malformed patterns, even where the name fails earlier', () => {
    for (const pattern of ['[', '[^', '[^bc', 'a[', 'b[', '[]a]', '[-]', '[x-]', '[a-b-c]', 'a\\']) {
      expect(() => filepathMatch(pattern, 'ab')).toThrow(/is not valid/);
    }
  });

  it('says what the JSON form lacks where a source begins with a bracket', () => {
    for (const pattern of ['[app', '[app,', "['app',"])
      expect(() => filepathMatch(pattern, 'a')).toThrow(
        expect.objectContaining({ hint: expect.stringContaining('For the JSON form') }),
      );
    expect(() => filepathMatch('a[', 'a')).toThrow(
      expect.objectContaining({ hint: expect.not.stringContaining('JSON') }),
    );
  });

  it('splits into components, with plain names ready to open', () => {
    const parts = splitPathPattern('/src/./a\\*b//*.[ch]');
    expect(parts.map((part) => part.literal)).toEqual(['src', 'a*b', undefined]);
    expect(parts[2]?.matches('x.c')).toBe(true);
    expect(parts[2]?.matches('x.o')).toBe(false);
    expect([hasWildcard('a/b.txt'), hasWildcard('a?')]).toEqual([false, true]);
  });
});

describe('suggest', () => {
  it('finds the nearest name and leaves far ones alone', () => {
    expect(suggest('RUM', ['FROM', 'RUN', 'USER'])).toBe('RUN');
    expect(suggest('ENTRYPIONT', ['ENTRYPOINT', 'ENV'])).toBe('ENTRYPOINT');
    expect(suggest('zebra', ['FROM', 'RUN'])).toBeUndefined();
  });
});

describe('codeFrame', () => {
  const frame = (text: string, line: number, column: number, length: number) =>
    codeFrame({ source: { name: 'f', text }, start: { line, column }, end: { line, column: column + length } });

  it('keeps tabs before the caret, so that it stands under its character', () => {
    expect(frame('a\n\tb c', 2, 4, 1)).toBe('  1 | a\n> 2 | \tb c\n    | \t  ^');
  });

  it('shows a window of a very long line and no control characters', () => {
    const shown = frame(`RUN ${'x'.repeat(100_000)}\u001b[31mY`, 1, 100_010, 1);
    expect(shown.length).toBeLessThan(500);
    expect(shown).not.toContain('\u001b');
    expect(shown).toContain('^');
  });
});
