import { describe, expect, test } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { codeFrame, decodeContainerfile, parseContainerfile, parseTrigger } from '../../src/parser/index.ts';

function failure(run: () => unknown): BuildError {
  try {
    run();
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
  throw new Error('no error');
}

describe('The bytes of a Containerfile', () => {
  test('are UTF-8, U+FFFD itself included', () => {
    const text = '\ufeffFROM größe\nRUN echo \ufffd';
    expect(decodeContainerfile(Buffer.from(text), 'f')).toEqual({ name: 'f', text });
  });
  test('that are not UTF-8 are an error at the first of them', () => {
    const bytes = Buffer.concat([Buffer.from('FROM a\nENV b="\ufffdé '), Buffer.from('gr\xf6\xdfe"\n', 'latin1')]);
    const error = failure(() => decodeContainerfile(bytes, 'Containerfile'));
    expect([error.code, error.message, error.range?.start]).toEqual([
      'E_PARSE',
      '"Containerfile" is not UTF-8',
      { line: 2, column: 13 },
    ]);
    expect(error.hint).toContain('iconv');
  });
  test('cut off inside a character are an error at that place', () => {
    const error = failure(() => decodeContainerfile(Buffer.from('FROM a\nRUN é').subarray(0, -1), 'f'));
    expect(error.range?.start).toEqual({ line: 2, column: 5 });
  });
  test('in UTF-16 are an error that says so', () => {
    for (const encoded of [Buffer.from('\ufeffFROM a', 'utf16le'), Buffer.from('\ufeffFROM a', 'utf16le').swap16()]) {
      const error = failure(() => decodeContainerfile(encoded, 'f'));
      expect([error.message, error.range?.start]).toEqual(['"f" is UTF-16', { line: 1, column: 1 }]);
    }
  });
  test('with a NUL among them are an error at its place, also in a trigger', () => {
    const text = 'FROM a\nRUN b\0c\n';
    const error = failure(() => parseContainerfile({ name: 'f', text }));
    expect([error.code, error.message]).toEqual(['E_PARSE', '"f" has a NUL byte']);
    if (!error.range) throw error;
    expect(codeFrame(error.range)).toBe('  1 | FROM a\n> 2 | RUN b·c\n    |      ^');
    expect(failure(() => parseTrigger('RUN \0', 'ONBUILD of a')).message).toBe('"ONBUILD of a" has a NUL byte');
  });
});
