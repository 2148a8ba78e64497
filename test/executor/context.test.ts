import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  competingIgnoreFiles,
  contextRoot,
  namedContextRoot,
  openContext,
  readContainerfiles,
} from '../../src/executor/context.ts';
import { OutputTail } from '../../src/executor/output-tail.ts';
import { tempDir } from '../support/temp-dir.ts';

function context(files: Readonly<Record<string, string>>): string {
  const directory = tempDir();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

const errorOf = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return error;
  }
};

const names = (directory: string, files: readonly string[]): string[] =>
  readContainerfiles(directory, files, { stdin: Buffer.from('FROM stdin') }).containerfiles.map(({ name }) => name);

describe('the Containerfile', () => {
  it('is Containerfile before Dockerfile before dockerfile', () => {
    const all = { Containerfile: 'FROM a', Dockerfile: 'FROM b', dockerfile: 'FROM c' };
    expect(names(context(all), [])).toEqual(['Containerfile']);
    expect(names(context({ Dockerfile: 'FROM b', dockerfile: 'FROM c' }), [])).toEqual(['Dockerfile']);
    expect(names(context({ dockerfile: 'FROM c' }), [])).toEqual(['dockerfile']);
  });

  it('is never a pipe of a context from elsewhere, which nobody writes to', () => {
    const directory = tempDir();
    execFileSync('mkfifo', [join(directory, 'Dockerfile')]);
    const within = { directory, description: 'the context on standard input', keepsOwners: false };
    for (const files of [[], ['Dockerfile']]) {
      const error = errorOf(() => readContainerfiles(directory, files, { within }));
      expect(error).toMatchObject({ code: 'E_NO_CONTAINERFILE', message: expect.stringContaining('not a file') });
    }
  });

  it('is found by name in the context, or read from standard input', () => {
    const directory = context({ 'other.txt': 'FROM c' });
    expect(readContainerfiles(directory, ['other.txt'])).toEqual({
      containerfiles: [{ name: 'other.txt', text: 'FROM c' }],
      paths: [join(directory, 'other.txt')],
      mtime: expect.any(Number),
    });
    expect(readContainerfiles(directory, ['-'], { stdin: Buffer.from('FROM d') })).toEqual({
      containerfiles: [{ name: '<stdin>', text: 'FROM d' }],
      paths: [],
      mtime: 0,
    });
  });

  it('is several files in the order in which they are named', () => {
    const directory = context({ one: 'FROM a', two: 'FROM b' });
    expect(names(directory, ['two', '-', 'one'])).toEqual(['two', '<stdin>', 'one']);
  });

  it('is refused where it is for the C preprocessor', () => {
    const directory = context({ 'a.in': 'FROM a\n#ifdef X\n#endif\n', 'b.in': '# FROM is next\nFROM b\n' });
    expect(errorOf(() => readContainerfiles(directory, ['a.in'], undefined))).toMatchObject({
      code: 'E_UNSUPPORTED',
      hint: expect.stringContaining('cpp'),
    });
    expect(names(directory, ['b.in'])).toEqual(['b.in']);
  });

  it.each<[string, string | undefined]>([
    ['is missing', undefined],
    ['is missing under its name', 'nothing'],
    ['is a directory', '.'],
  ])('gives a hint where it %s', (_name, file) => {
    const files = file === undefined ? [] : [file];
    expect(errorOf(() => readContainerfiles(context({}), files))).toMatchObject({
      code: 'E_NO_CONTAINERFILE',
      hint: expect.any(String),
    });
  });
});

describe('the context', () => {
  it.each(['/no/such/place', 'https://github.com/x/y.git'])('refuses %s', (text) => {
    expect(errorOf(() => openContext(text))).toMatchObject({ code: 'E_CONTEXT', hint: expect.any(String) });
  });

  it.each<[string, Record<string, string>, string | undefined]>([
    ['.dockerignore', { '.dockerignore': 'x' }, '.dockerignore'],
    ['.containerignore before it', { '.dockerignore': 'x', '.containerignore': 'x' }, '.containerignore'],
    ['that of the file first', { 'F.dockerignore': 'x', '.containerignore': 'x' }, 'F.dockerignore'],
    [
      'F.containerignore before F.dockerignore',
      { 'F.dockerignore': 'x', 'F.containerignore': '' },
      'F.containerignore',
    ],
    ['none', {}, undefined],
  ])('has the ignore file %s', (_name, files, expected) => {
    const directory = context({ F: 'FROM scratch', ...files });
    const root = contextRoot(directory, { input: readContainerfiles(directory, ['F']) });
    expect(root.ignore?.fileName).toBe(expected);
  });

  it('has the ignore file of --ignorefile only, from here or from the context', () => {
    const directory = context({ F: 'FROM scratch', 'F.dockerignore': 'x', mine: 'y' });
    const input = readContainerfiles(directory, ['F']);
    for (const ignoreFile of ['mine', join(directory, 'mine')]) {
      const { ignore } = contextRoot(directory, { input, ignoreFile });
      expect([ignore?.fileName, ignore?.match('x').ignored, ignore?.match('y').ignored]).toEqual(['mine', false, true]);
    }
    expect(errorOf(() => contextRoot(directory, { input, ignoreFile: 'nothing' }))).toMatchObject({
      code: 'E_CONTEXT',
      message: expect.stringContaining('"nothing"'),
      hint: expect.any(String),
    });
  });

  it('has the ignore file of its own directory where it is a named one', () => {
    const directory = context({ F: '', 'F.dockerignore': 'x', '.dockerignore': 'y' });
    expect(namedContextRoot('data', directory).ignore?.fileName).toBe('.dockerignore');
  });

  it.each<[string, Record<string, string>, number]>([
    ['differ', { '.dockerignore': 'x', '.containerignore': 'y' }, 1],
    ['are the same', { '.dockerignore': 'x', '.containerignore': 'x' }, 0],
    ['are not used', { F: '', 'F.dockerignore': 'z', '.dockerignore': 'x', '.containerignore': 'y' }, 0],
  ])('warns of two ignore files only where they matter: they %s', (_name, files, warnings) => {
    const directory = context({ F: 'FROM scratch', ...files });
    expect(competingIgnoreFiles(directory, readContainerfiles(directory, ['F']))).toHaveLength(warnings);
  });

  it('names an ignore file that cannot be read', () => {
    const directory = context({ Containerfile: '' });
    mkdirSync(join(directory, '.dockerignore'));
    const input = readContainerfiles(directory, []);
    expect(errorOf(() => contextRoot(directory, { input }))).toMatchObject({
      code: 'E_CONTEXT',
      message: expect.stringContaining('.dockerignore'),
    });
  });
});

describe('the tail of the output', () => {
  const tailOf = (...chunks: string[]): string[] => {
    const tail = new OutputTail();
    for (const chunk of chunks) tail.add(Buffer.from(chunk));
    return tail.lines();
  };

  it('puts lines together from chunks and keeps the last twenty', () => {
    expect(tailOf('a', 'b\nc\r\n', 'd')).toEqual(['ab', 'c', 'd']);
    const lines = Array.from({ length: 50 }, (_, i) => `line ${i}`);
    expect(tailOf(lines.join('\n'))).toEqual(lines.slice(-20));
  });

  it('cuts endless lines', () => {
    const [line = ''] = tailOf(...Array.from({ length: 100 }, () => 'x'.repeat(1000)), '\n');
    expect(line).toHaveLength(4096);
  });
});
