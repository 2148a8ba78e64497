import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { contextRoot, openContext, readContainerfile } from '../../src/executor/context.ts';
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

describe('the Containerfile', () => {
  it('is Containerfile before Dockerfile', () => {
    const both = context({ Containerfile: 'FROM a', Dockerfile: 'FROM b' });
    expect(readContainerfile(both, undefined, undefined).containerfile).toEqual({
      name: 'Containerfile',
      text: 'FROM a',
    });
    const one = context({ Dockerfile: 'FROM b' });
    expect(readContainerfile(one, undefined, undefined).containerfile.name).toBe('Dockerfile');
  });

  it('is found by name in the context, or read from standard input', () => {
    const directory = context({ 'other.txt': 'FROM c' });
    expect(readContainerfile(directory, 'other.txt', undefined).containerfile.text).toBe('FROM c');
    expect(readContainerfile(directory, '-', Buffer.from('FROM d'))).toEqual({
      containerfile: { name: '<stdin>', text: 'FROM d' },
      path: undefined,
      mtime: 0,
    });
  });

  it.each<[string, string | undefined]>([
    ['is missing', undefined],
    ['is missing under its name', 'nothing'],
    ['is a directory', '.'],
  ])('gives a hint where it %s', (_name, file) => {
    expect(errorOf(() => readContainerfile(context({}), file, undefined))).toMatchObject({
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
    ['none', {}, undefined],
  ])('has the ignore file %s', (_name, files, expected) => {
    const directory = context({ F: 'FROM scratch', ...files });
    const root = contextRoot(directory, readContainerfile(directory, 'F', undefined));
    expect(root.ignore?.fileName).toBe(expected);
  });

  it('names an ignore file that cannot be read', () => {
    const directory = context({ Containerfile: '' });
    mkdirSync(join(directory, '.dockerignore'));
    const input = readContainerfile(directory, undefined, undefined);
    expect(errorOf(() => contextRoot(directory, input))).toMatchObject({
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
