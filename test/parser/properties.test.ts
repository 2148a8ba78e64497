// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the language under test writes variables like this
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BuildError, type SourceRange } from '../../src/errors.ts';
import {
  codeFrame,
  dumpContainerfile,
  expand,
  expandHeredoc,
  expandWords,
  filepathMatch,
  parseContainerfile,
  parseIgnoreFile,
  parseTrigger,
} from '../../src/parser/index.ts';
import { excerpt, mutate, Random, realContainerfiles, soup } from './random-inputs.ts';

const range: SourceRange = {
  source: { name: 'f', text: '' },
  start: { line: 1, column: 1 },
  end: { line: 1, column: 1 },
};

const SLOW_MS = 100;

/** Runs it and lets only BuildErrors pass. A slow run is measured again in processor time: the machine may be busy. */
function survives(run: () => unknown, input: string): void {
  const started = performance.now();
  attempt(run, input);
  if (performance.now() - started < SLOW_MS) return;
  let best = Number.POSITIVE_INFINITY;
  for (let again = 0; again < 3 && best >= SLOW_MS; again += 1) {
    const before = process.cpuUsage();
    attempt(run, input);
    best = Math.min(best, process.cpuUsage(before).user / 1000);
  }
  if (best >= SLOW_MS) throw new Error(`${best} ms for ${JSON.stringify(input.slice(0, 2000))}`);
}

function attempt(run: () => unknown, input: string): void {
  try {
    run();
  } catch (error) {
    const shown = JSON.stringify(input.slice(0, 2000));
    if (!(error instanceof BuildError)) throw new Error(`not a BuildError for ${shown}`, { cause: error });
    if (error.message.endsWith('.') && !error.message.endsWith('..'))
      throw new Error(`"${error.message}" for ${shown}`);
    if (error.range && !codeFrame(error.range).includes('^')) throw new Error(`no place in the frame for ${shown}`);
  }
}

const KEYWORDS =
  'FROM RUN COPY ADD ENV ARG LABEL ONBUILD HEALTHCHECK CMD ENTRYPOINT EXPOSE SHELL VOLUME USER WORKDIR STOPSIGNAL MAINTAINER';
const TOKENS = [
  ...KEYWORDS.split(' ').map((keyword) => `\n${keyword} `),
  ...[
    'a',
    'b=c',
    ' ',
    '\t',
    '\n',
    '\r\n',
    '\\\n',
    '\\',
    '`',
    '#',
    '# escape=`\n',
    '# syntax=',
    '"',
    "'",
    '=',
    ',',
    'as ',
  ],
  ...['[', ']', '["a"]', '{', '--', '--from=x', '--mount=', 'type=cache,', '--chown=', '--link', 'NONE', '80/tcp', '-'],
  ...['<<', '<<-', '<<EOF', '\nEOF\n', 'EOF', '<<"E F"', '3<<A <<B', '\nA\n', '$((', '))'],
  ...['$', '${', '}', ':-', ':?', '+', '#', '##', '%', '/', '//', '*', '?', '$x', '${x:-${y}}'],
  ...['\u00a0', '😀', '\ud800', '\u0000', '\ufeff', '\ufffd', '\f', '\u2028', 'é'],
];
const PATTERN_TOKENS = [
  'a',
  'b',
  '/',
  '*',
  '**',
  '**/',
  '?',
  '[',
  ']',
  '[a-z]',
  '[^',
  '^',
  '-',
  '!',
  '\\',
  '#',
  ' ',
  '\n',
  '.',
  '..',
  'é',
  '😀',
];

/** So many inputs for each of the three; the same ones on every machine. */
const INPUTS = 100_000;

describe(`any of ${INPUTS} inputs`, { timeout: 120_000 }, () => {
  const files = [...realContainerfiles().values()];

  it('parses, as a file and as a trigger, or gives a BuildError with a place, within 100 ms', () => {
    const random = new Random(11);
    for (let run = 0; run < INPUTS; run += 1) {
      const source =
        run % 2 === 0 ? soup(random, TOKENS, 20) : mutate(random, excerpt(random, random.pick(files)), TOKENS);
      const text = random.chance(2) ? `FROM a\n${source}` : source;
      if (run % 10 === 0) survives(() => parseTrigger(text.trim(), 'ONBUILD of a', '\\'), text);
      else survives(() => dumpContainerfile(parseContainerfile({ name: 'f', text })), text);
    }
  });

  it('expands, whole, as words and as a heredoc, or gives a BuildError, within 100 ms', () => {
    const random = new Random(12);
    const scope = (name: string) => (name === 'x' || name === 'a' ? 'a*b$c "d"/e' : undefined);
    const forms = [expand, expandWords, expandHeredoc];
    for (let run = 0; run < INPUTS; run += 1) {
      const words = excerpt(random, random.pick(files)).slice(0, 300);
      const text = run % 2 === 0 ? soup(random, TOKENS, 20) : mutate(random, words, TOKENS);
      survives(() => forms[run % 3]?.(text, { scope, escape: random.chance(5) ? '`' : '\\', range }), text);
    }
  });

  it('is an ignore file and a path pattern, or gives a BuildError, within 100 ms', () => {
    const random = new Random(13);
    const real = '# c\n*\n!src\n**/*.md\n!README.md\n/a/**/b\nnode_modules\n.git*\n*/temp?\n[a-c]x\n\\#x\n  y  \n';
    for (let run = 0; run < INPUTS; run += 1) {
      const text = run % 2 === 0 ? soup(random, PATTERN_TOKENS, 12) : mutate(random, real, PATTERN_TOKENS);
      const path = soup(random, ['a', 'b', '/', '/a', '.md', 'x', 'é', '\\', '*', '\n'], 10);
      survives(() => {
        const file = parseIgnoreFile(text, 'f');
        file.match(path);
        file.canSkipDirectory(path);
      }, text);
      survives(() => filepathMatch(text.split('\n')[0] ?? '', path), text);
    }
  });
});

const many = (text: string, count: number) => text.repeat(count);
/** About a megabyte of it. */
const megabyte = (text: string) => many(text, Math.ceil(1_000_000 / text.length));

/** Linear time for a megabyte is some tenths of a second at most; a square of it would be hours. */
function endsSoon(run: () => unknown): void {
  const before = process.cpuUsage();
  attempt(run, '');
  expect(process.cpuUsage(before).user / 1e6).toBeLessThan(5);
}

describe('inputs made to be slow', { timeout: 120_000 }, () => {
  const parse = (text: string) => endsSoon(() => parseContainerfile({ name: 'f', text: `FROM a\n${text}` }));

  it.each([
    ['words', 'RUN', 'a '],
    ['words of a list', 'COPY', 'a '],
    ['pairs', 'ENV', 'a=b '],
    ['arguments', 'ARG', 'a=b '],
    ['one word', 'WORKDIR', 'x'],
    ['blanks', 'LABEL', ' '],
    ['quotes', 'LABEL', "''"],
    ['escapes', 'RUN', '\\x'],
    ['flags', 'COPY', '--exclude=a '],
    ['mounts', 'RUN', '--mount=type=tmpfs,target=/x '],
    ['ends of flags', 'ADD', '-- '],
    ['continued lines', 'RUN', 'a \\\n'],
    ['comments in a continued line', 'RUN', '\\\n# c\n'],
    ['heredoc words', 'RUN', '<<a '],
    ['arithmetic', 'RUN', '$(('],
    ['digits', 'RUN', '1'],
    ['words in an open quote', 'LABEL', 'a="b '],
    ['brackets', 'CMD', '['],
    ['an array', 'VOLUME ["a"', ',"a"'],
    ['an array that is not closed', 'SHELL [', '"a",'],
  ])('a line of a megabyte of %s takes linear time', (_what, keyword, piece) => {
    parse(`${keyword} ${megabyte(piece)}`);
  });
  it('arrays in arrays, half a million deep', () => {
    parse(`CMD ${many('[', 500_000)}${many(']', 500_000)}`);
  });
  it('twenty thousand heredocs of one instruction', () => {
    const names = Array.from({ length: 20_000 }, (_, index) => `a${index}`);
    parse(`COPY ${names.map((name) => `<<${name}`).join(' ')} /x\n${names.join('\n')}\n`);
  });
  it('blanks around an escape character', () => {
    parse(`RUN ${many(' ', 100_000)}x${many(' ', 100_000)}\\${many(' ', 100_000)}`);
  });

  const options = {
    scope: (name: string) => (name === 'x' ? many('a', 20_000) : undefined),
    escape: '\\' as const,
    range,
  };
  it.each([
    ['many stars: ${x/*a*a*a...b/c}', `\${x/${many('*a', 50)}b/c}`],
    ['many stars at an end: ${x%%?*?*...b}', `\${x%%${many('?*', 50)}b}`],
    ['a long pattern that nearly matches', `\${x//${many('a', 4000)}b/c}`],
    ['a pattern too long for its value', `\${x//${many('a', 100_000)}b/c}`],
    ['braces in braces', `\${y${many(':-${y', 50_000)}`],
    ['open quotes', many('"$x\'', 10)],
    ['a megabyte of variables', megabyte('$y ')],
    ['a result without end', megabyte('$x')],
  ])('expansion with %s', (_what, text) => {
    for (const run of [expand, expandWords, expandHeredoc]) endsSoon(() => run(text, options));
  });
  it('a variable that doubles itself line upon line is an error before it fills the memory', () => {
    let value = 'a'.repeat(1000);
    const grow = () => {
      for (let line = 0; line < 40; line += 1) value = expand('$v$v', { ...options, scope: () => value });
    };
    expect(grow).toThrow(/is longer than/);
  });
  it.each([
    ['*a*a*a*b', `${many('*a', 50)}b`, many('a', 250)],
    ['three stars and a long path', '*a*a*ab', many('a', 4000)],
    ['**/**/**', `${many('**/', 50)}b`, many('a/', 250)],
    ['**/a/**/a/**/b', `${many('**/a/', 20)}b`, many('a/', 500)],
    ['**a**a**b', `${many('**a', 50)}b`, many('a', 1000)],
    ['a pattern longer than any path', many('[a-z]', 100_000), many('a', 4000)],
    ['a class without end', `[${many('a', 100_000)}`, 'a'],
  ])('an ignore pattern like %s', (_what, pattern, path) => {
    endsSoon(() => parseIgnoreFile(pattern, 'f').match(path));
    endsSoon(() => parseIgnoreFile(`*\n!${pattern}`, 'f').canSkipDirectory(path));
    endsSoon(() => filepathMatch(pattern, path));
  });
});

describe('expansion and a POSIX shell', { timeout: 60_000 }, () => {
  // Only forms on which BuildKit and POSIX agree: no quotes in patterns, no "${" inside double quotes.
  const variables: Readonly<Record<string, string>> = { a: 'x/y.z/x.y', b: '', c: 'x y*', e: 'a?' };
  const name = fc.constantFrom(...Object.keys(variables), 'd');
  const plain = fc.constantFrom('x', 'y', '/', '.', '-', '*', '?');
  const joined = (piece: fc.Arbitrary<string>) => fc.array(piece, { maxLength: 4 }).map((parts) => parts.join(''));
  const simple = name.map((variable) => `$${variable}.`);
  const pattern = joined(fc.oneof(plain, fc.constantFrom('\\*', '\\?', '\\}', '\\\\')));
  const template = fc.letrec<{ word: string; piece: string }>((tie) => ({
    word: fc.array(tie('piece'), { maxLength: 4 }).map((parts) => parts.join('')),
    piece: fc.oneof(
      { depthSize: 'small' },
      plain,
      simple,
      joined(fc.constantFrom('x', ' ', '$', '}', '"', '\\')).map((text) => `'${text}'`),
      joined(fc.oneof(fc.constantFrom('x', ' ', "'", '\\"', '\\$', '\\\\'), simple)).map((text) => `"${text}"`),
      fc.constantFrom('x', '$', '"', "'", '}', '\\', ' ').map((character) => `\\${character}`),
      fc.tuple(name, fc.constantFrom('-', ':-', '+', ':+'), tie('word')).map(([n, op, word]) => `\${${n}${op}${word}}`),
      fc.tuple(name, fc.constantFrom('#', '##', '%', '%%'), pattern).map(([n, op, text]) => `\${${n}${op}${text}}`),
    ),
  })).word;

  it('agree on quotes, defaults, alternatives and patterns', () => {
    const templates = fc.sample(template, { numRuns: 1500, seed: 7 });
    const assignments = Object.entries(variables).map(([key, value]) => `${key}='${value}'`);
    const script = [...assignments, ...templates.map((text) => `r=${text}; printf '%s\\0' "$r"`)].join('\n');
    const shell = spawnSync('sh', ['-s'], { input: script, encoding: 'utf8', env: {} });
    expect(shell.stderr).toBe('');
    const wanted = shell.stdout.split('\0').slice(0, -1);
    const found = templates.map((text) => expand(text, { scope: (key) => variables[key], escape: '\\', range }));
    expect(found.map((value, index) => [templates[index], value])).toEqual(
      wanted.map((value, index) => [templates[index], value]),
    );
  });
});
