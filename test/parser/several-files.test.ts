import { describe, expect, it } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { parseContainerfiles } from '../../src/parser/index.ts';

const parse = (...texts: readonly string[]) =>
  parseContainerfiles(texts.map((text, index) => ({ name: `file${index}`, text })));

function failure(...texts: readonly string[]): BuildError {
  try {
    parse(...texts);
  } catch (error) {
    if (error instanceof BuildError) return error;
  }
  throw new Error('It was parsed');
}

describe('several Containerfiles', () => {
  it('are one: what stands before the FROM of the second belongs to the last stage of the first', () => {
    const { stages, globalArgs } = parse('ARG A\nFROM a AS one\nRUN x', 'ARG B\nCOPY a b\nFROM one\nRUN y', 'RUN z');
    expect(globalArgs.map(({ raw }) => raw)).toEqual(['ARG A']);
    expect(stages.map(({ from, instructions }) => [from.raw, ...instructions.map(({ raw }) => raw)])).toEqual([
      ['FROM a AS one', 'RUN x', 'ARG B', 'COPY a b'],
      ['FROM one', 'RUN y', 'RUN z'],
    ]);
  });

  it('keep the place of each instruction and warning in its own file', () => {
    const { stages, warnings } = parse('FROM a', '# comment\nRUN x', '\n\nRUN y \\\n\n z\n');
    const places = stages[0]?.instructions.map(({ range }) => [range.source.name, range.start.line]);
    expect(places).toEqual([
      ['file1', 2],
      ['file2', 3],
    ]);
    expect(warnings.map(({ range }) => [range.source.name, range.start.line])).toEqual([['file2', 4]]);
  });

  it('name the file of an error', () => {
    const error = failure('FROM a', 'RUN x\nRUM y');
    expect([error.range?.source.name, error.range?.start.line]).toEqual(['file1', 2]);
    expect(failure('RUN x', 'FROM a')).toMatchObject({ code: 'E_PARSE', range: { source: { name: 'file0' } } });
    expect(failure('FROM a', '# nothing')).toMatchObject({ code: 'E_PARSE', range: { source: { name: 'file1' } } });
  });

  it('must agree on the escape character', () => {
    expect(failure('# escape=`\nFROM a', 'RUN x')).toMatchObject({
      code: 'E_PARSE',
      range: { source: { name: 'file1' } },
      hint: expect.stringContaining('escape'),
    });
    expect(parse('# escape=`\nFROM a', '# escape=`\nRUN x').directives.escape).toBe('`');
  });
});
