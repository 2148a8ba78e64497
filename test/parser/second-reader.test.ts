// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the language under test writes variables like this
import { DockerfileParser, JSONInstruction, Run, type Instruction as Theirs } from 'dockerfile-ast';
import { describe, expect, test } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { type Instruction, parseContainerfile } from '../../src/parser/index.ts';
import { parseJsonForm } from '../../src/parser/json-form.ts';
import { readLogicalLines } from '../../src/parser/lines.ts';
import { splitStatement } from '../../src/parser/statement.ts';
import { splitAtBlanks } from '../../src/parser/words.ts';
import { realContainerfiles } from './random-inputs.ts';

/** What both readers must see alike: keyword, lines, number of arguments (undefined: not compared). */
interface Seen {
  readonly keyword: string;
  readonly lines: readonly [first: number, last: number];
  readonly arguments: number | undefined;
}

function ours(text: string): Instruction[] {
  const { globalArgs, stages } = parseContainerfile({ name: 'f', text });
  return [...globalArgs, ...stages.flatMap(({ from, instructions }) => [from, ...instructions])];
}

/** Instructions whose arguments are words between blanks for both readers; the other one does not take JSON apart. */
const COUNTED = new Set(['FROM', 'COPY', 'ADD', 'EXPOSE', 'VOLUME', 'WORKDIR', 'USER', 'STOPSIGNAL', 'MAINTAINER']);

function seenByUs(text: string): Seen[] {
  const source = { name: 'f', text };
  const { escape: escapeCharacter } = parseContainerfile(source).directives;
  const { lines } = readLogicalLines(source, { escape: escapeCharacter });
  const trees = ours(text);
  return lines.map((line, index) => {
    const { keyword, text: written, args } = splitStatement(line, { escape: escapeCharacter });
    const tree = trees[index];
    const name = keyword.text.toUpperCase();
    const plain = COUNTED.has(name) && line.heredocs.length === 0 && !parseJsonForm(written, args);
    return {
      keyword: name,
      lines: [tree?.range.start.line ?? 0, tree?.range.end.line ?? 0],
      arguments: plain ? splitAtBlanks(written, args).length : undefined,
    };
  });
}

function seenByThem(text: string, mine: readonly Seen[]): Seen[] {
  return DockerfileParser.parse(text)
    .getInstructions()
    .map((node: Theirs, index) => {
      const { start, end } = node.getRange();
      // Flags stand apart in theirs, too: getArguments() has none of them.
      const count = mine[index]?.arguments === undefined ? undefined : node.getArguments().length;
      // A line that continues into the blank end of the file ends with its text, for us.
      const last = text.split('\n').findLastIndex((line, at) => at <= end.line && line.trim() !== '');
      return { keyword: node.getKeyword(), lines: [start.line + 1, last + 1], arguments: count };
    });
}

const wrap = (body: string) => `FROM a\n${body}\nUSER last\n`;
const keywords = (body: string) => ours(wrap(body)).map(({ kind }) => kind);
const theirs = (body: string) => DockerfileParser.parse(wrap(body)).getInstructions();
const theirKeywords = (body: string) => theirs(body).map((node) => node.getKeyword());
const variables = (body: string) =>
  theirs(body)[1]
    ?.getVariables()
    .map((variable) => variable.getName());

function theirJson(body: string): string[] {
  const node = theirs(body)[1];
  if (!(node instanceof JSONInstruction)) throw new Error('no instruction with a JSON form');
  return node.getJSONStrings().map((text) => text.getJSONValue());
}

const words = (body: string) => {
  const [, node] = ours(wrap(body));
  if (node?.kind === 'COPY')
    return [...node.sources.map((from) => (from.type === 'path' ? from.path.text : '')), node.destination.text];
  return node?.kind === 'CMD' || node?.kind === 'RUN'
    ? node.command.form === 'exec'
      ? node.command.argv
      : node.command.script
    : [];
};

/** Faults of dockerfile-ast 0.7.1 that change what would be built, each with an example of both readings. */
describe('dockerfile-ast is known to be wrong in ten ways', () => {
  test('1: a heredoc line that ends in "\\" is joined with the terminator, which is missed', () => {
    const body = 'RUN <<EOF\necho a \\\nEOF';
    expect(ours(wrap(body))[1]).toMatchObject({ command: { heredocs: [{ body: 'echo a \\\n' }] } });
    const run = theirs(body)[1];
    expect(run instanceof Run && run.getHeredocs().map((heredoc) => heredoc.getDelimiterRange())).toEqual([null]);
  });
  test('2: strings in JSON lose their blanks', () => {
    const body = 'COPY ["a b", "/c d/"]';
    expect([words(body), theirJson(body)]).toEqual([
      ['a b', '/c d/'],
      ['ab', '/cd/'],
    ]);
  });
  test('3: \\u in JSON is not decoded', () => {
    const body = 'CMD ["\\u0041"]';
    expect([words(body), theirJson(body)]).toEqual([['A'], ['0041']]);
  });
  test('4: invalid JSON gives strings all the same, and CMD [] as little as no JSON', () => {
    expect([words('CMD ["x","y",]'), theirJson('CMD ["x","y",]')]).toEqual(['["x","y",]', ['x', 'y']]);
    expect([words('RUN ["a"] && b'), theirJson('RUN ["a"] && b')]).toEqual(['["a"] && b', ['a']]);
    expect([words('CMD []'), theirJson('CMD []'), theirJson('CMD x')]).toEqual([[], [], []]);
  });
  test('5: a second comment and a blank line in a continued line stay in the text', () => {
    const body = 'RUN echo a \\\n# one\n    # two\n\n  && echo b';
    expect(words(body)).toBe('echo a   && echo b');
    expect(theirs(body)[1]?.getArgumentsContent()).toContain('# two\n\n');
  });
  test('6: an escaped backslash at the end of a line continues it', () => {
    const body = 'RUN x \\\\\nUSER u';
    expect([keywords(body), theirKeywords(body)]).toEqual([
      ['FROM', 'RUN', 'USER', 'USER'],
      ['FROM', 'RUN', 'USER'],
    ]);
  });
  test('7: heredocs with a number, with a blank in quotes, or quoted in part are not found', () => {
    for (const [word, end] of [
      ['3<<EOF', 'EOF'],
      ["<<'E F'", 'E F'],
      ['<<E"O"F', 'EOF'],
    ]) {
      const body = `RUN cat ${word}\nA b\n${end}`;
      expect(keywords(body)).toEqual(['FROM', 'RUN', 'USER']);
      expect(theirKeywords(body)).not.toEqual(keywords(body));
    }
  });
  test('8: a quoted mount is cut at its blank', () => {
    const body = 'RUN --mount=type=cache,"target=/x y" --network=none c';
    expect(ours(wrap(body))[1]).toMatchObject({ command: { script: 'c' }, network: { text: 'none' } });
    expect(
      theirs(body)[1]
        ?.getArguments()
        .map((word) => word.getValue()),
    ).toEqual(['y"', '--network=none', 'c']);
  });
  test('9: operators of a variable belong to its name, and quotes do not matter', () => {
    expect(variables('ENV x=${T-u}${F#p}${J%s}${L/a/b}')).toEqual(['T-u', 'F#p', 'J%s', 'L/a/b']);
    expect(variables('ENV x=${V:+x${B:-y}}')).toEqual(['V']);
    expect(variables("ENV x='$R'")).toEqual(['R']);
    expect(variables('ENV x=$$ y=$((1))')).toEqual(['', '']);
  });
  test('10: a heredoc that never ends is no error, and swallows the file', () => {
    expect(theirKeywords('RUN cat <<EOF\nx')).toEqual(['FROM', 'RUN']);
    expect(() => keywords('RUN cat <<EOF\nx')).toThrow(/not terminated/);
  });
});

/** Real files in which a fault shows, by the end of their paths, with its number. */
const FAULTY: Readonly<Record<string, number>> = {
  'fixtures/containerfiles/doubled-escape/Containerfile': 6,
  'fixtures/containerfiles/flags-over-lines/Containerfile': 8,
  'fixtures/containerfiles/heredoc-copy/Containerfile': 7,
  'fixtures/containerfiles/heredoc-run/Containerfile': 7,
  'conformance/parse/positive/trailing-backslash/Dockerfile': 6,
  'conformance/build/bk-run-complex-heredoc/ctx/Dockerfile': 7,
};

describe('dockerfile-ast, a second reader', () => {
  test('sees the same keywords, lines and numbers of arguments in every real Containerfile without a fault', () => {
    let compared = 0;
    for (const [path, text] of realContainerfiles()) {
      const mine = read(() => seenByUs(text));
      if (!mine) continue;
      const fault = Object.entries(FAULTY).find(([end]) => path.endsWith(end))?.[1];
      const other = seenByThem(text, mine);
      if (fault === undefined) expect({ path, seen: other }).toEqual({ path, seen: mine });
      else expect({ path, seen: other }).not.toEqual({ path, seen: mine });
      compared += 1;
    }
    expect(compared).toBeGreaterThan(40);
  });
});

function read<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof BuildError) return undefined;
    throw error;
  }
}
