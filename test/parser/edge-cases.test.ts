// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the language under test writes variables like this
import { describe, expect, test } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import {
  type CopyInstruction,
  codeFrame,
  expandHeredoc,
  parseContainerfile,
  parsePorts,
  type RunInstruction,
  type StageInstruction,
} from '../../src/parser/index.ts';

const parse = (text: string) => parseContainerfile({ name: 'Containerfile', text });

/** The instructions behind FROM. */
const body = (text: string): readonly StageInstruction[] => parse(`FROM a\n${text}`).stages[0]?.instructions ?? [];

function only<K extends StageInstruction['kind']>(kind: K, text: string): Extract<StageInstruction, { kind: K }> {
  const [found, ...more] = body(text);
  expect(more).toEqual([]);
  if (found?.kind !== kind) throw new Error(`${text} is no ${kind}`);
  return found as Extract<StageInstruction, { kind: K }>; // the kind was just compared
}

function failure(text: string): BuildError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
  throw new Error('It was parsed without an error');
}

const script = ({ command }: Pick<RunInstruction, 'command'>) =>
  command.form === 'shell' ? command.script : undefined;
const argv = ({ command }: Pick<RunInstruction, 'command'>) => (command.form === 'exec' ? command.argv : undefined);
const heredocs = (run: RunInstruction) => (run.command.form === 'shell' ? run.command.heredocs : []);
const sources = (copy: CopyInstruction) =>
  copy.sources.map((source) =>
    source.type === 'path' ? source.path.text : [source.heredoc.name, source.heredoc.body],
  );

describe('Lines (reference, section 8.1)', () => {
  test('8.1 #1: a comment inside a continued RUN is dropped, and the instruction goes on', () => {
    expect(script(only('RUN', 'RUN echo a \\\n# comment\n  # another\nb\n'))).toBe('echo a b');
  });
  test('8.1 #2: blanks after the backslash continue the line all the same', () => {
    expect(script(only('RUN', 'RUN echo a \\ \t \nb'))).toBe('echo a b');
  });
  test('8.1 #3: FROM a as B is found by COPY --from=b', () => {
    const file = parse('FROM a as B\nFROM c\nCOPY --from=b /x /');
    expect(file.stages[0]?.from.name).toBe('b');
    expect(file.stages[1]?.instructions[0]).toMatchObject({ from: { text: 'b' } });
  });
  test('8.1 #4: a CRLF file reads as an LF file', () => {
    const text = '# escape=`\nFROM a\n\nRUN b `\n # c\n  d\nENV x="1" y=2\nCOPY a b\n';
    const kinds = (file: ReturnType<typeof parse>) =>
      file.stages.map(({ instructions }) => instructions.map(({ kind, raw }) => [kind, raw]));
    expect(kinds(parse(text.replaceAll('\n', '\r\n')))).toEqual(kinds(parse(text)));
    expect(parse(text.replaceAll('\n', '\r\n')).directives.escape).toBe('`');
  });
  test('8.1 #4: a heredoc body keeps the line ends of a CRLF file, as in BuildKit', () => {
    expect(sources(only('COPY', 'COPY <<a /b\r\none\r\ntwo\r\na\r\n'))).toEqual([['a', 'one\r\ntwo\r\n']]);
  });
  test('8.1 #4: a RUN heredoc of a CRLF file is a warning: the shell would see carriage returns', () => {
    const { warnings } = parse('FROM a\r\nRUN <<a\r\nmake\r\na\r\n');
    expect(warnings.map(({ message, range }) => [range.start.line, message])).toEqual([
      [2, 'Heredoc "a" has Windows line ends, and the shell takes the carriage returns for text'],
    ]);
  });
  test('8.1 #5: a UTF-8 byte order mark is no part of the first line', () => {
    expect(parse('\ufeff# escape=`\nFROM a').directives.escape).toBe('`');
    expect(parse('\ufeffFROM a').stages).toHaveLength(1);
  });
  test('8.1 #6: # escape=` frees the backslash', () => {
    const file = parse('# escape=`\nFROM a\nCOPY a C:\\x\\\nRUN b `\n  c');
    expect(file.stages[0]?.instructions).toMatchObject([
      { kind: 'COPY', destination: { text: 'C:\\x\\' } },
      { kind: 'RUN', command: { script: 'b   c' } },
    ]);
  });
  test('8.1 #10: instructions in lower case', () => {
    expect(script(only('RUN', 'run echo'))).toBe('echo');
  });
  test('8.1 #12: FROM without arguments is an error', () => {
    expect(failure('FROM').message).toBe('FROM has no image');
    expect(failure('FROM a b').message).toBe('FROM does not take "b" here');
    expect(failure('FROM a as').message).toBe('FROM has no stage name after AS');
  });
  test('8.1 #32: a line of more than 64 KiB is a line like others', () => {
    const long = 'x'.repeat(100_000);
    expect(script(only('RUN', `RUN echo ${long}`))).toBe(`echo ${long}`);
    expect(only('ENV', `ENV a="${long}" b=1`).pairs).toHaveLength(2);
  });
  test('8.1 #37: FROM with a digest, alone and behind a tag', () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const images = parse(`FROM a@${digest}\nFROM a:t@${digest}`).stages.map(({ from }) => from.image.text);
    expect(images).toEqual([`a@${digest}`, `a:t@${digest}`]);
  });
});

describe('Parser directives (reference, section 8.1)', () => {
  test('8.1 #13: a directive given twice is an error', () => {
    expect(failure('# syntax=docker/dockerfile:1\n# Syntax=docker/dockerfile:1\nFROM a').message).toBe(
      'Parser directive "syntax" is given twice',
    );
  });
  test('8.1 #14: a directive after a comment, a blank line or an instruction is a comment', () => {
    for (const before of ['# comment', '', 'FROM b']) {
      expect(parse(`${before}\n# escape=\`\nFROM a\nRUN b \\\n  c`).directives.escape).toBe('\\');
    }
  });
  test('an escape directive without effect is a warning', () => {
    const { warnings } = parse('# comment\n# escape=`\nFROM a');
    expect(warnings.map(({ message }) => message)).toEqual([
      'Directive "escape" has no effect here: it must stand at the top of the file',
    ]);
    expect(parse('# comment\n# escape=\\\n# syntax=docker/dockerfile:1\nFROM a').warnings).toEqual([]);
  });
  test('an unknown directive is a comment, and one that is nearly known a warning with the name', () => {
    expect(parse('# key=value\nFROM a').warnings).toEqual([]);
    expect(parse('# escpae=`\nFROM a').warnings.map(({ message }) => message)).toEqual([
      'Unknown parser directive "escpae" is a plain comment: did you mean "escape"?',
    ]);
  });
  test('a bad escape character is an error', () => {
    const error = failure('# escape=x\nFROM a');
    expect([error.message, error.hint]).toEqual(['Parser directive "escape" cannot be "x"', 'Use \\ or `']);
  });
  test('keys in any case, blanks anywhere, and check is kept', () => {
    expect(
      parse('#SynTax = docker/dockerfile:1 x\n#  ESCAPE=`  \n# check = skip=all;error=true \nFROM a').directives,
    ).toEqual({ syntax: 'docker/dockerfile:1', escape: '`', check: 'skip=all;error=true' });
  });
  test('a #! line may stand above syntax and check', () => {
    expect(parse('#!/usr/bin/env tsbuild\n# syntax=docker/dockerfile:1\nFROM a')).toMatchObject({
      directives: { syntax: 'docker/dockerfile:1' },
      warnings: [],
    });
  });
  test('another front-end is a warning that names it; versions and mirrors of docker/dockerfile are not', () => {
    for (const own of [
      'docker/dockerfile',
      'docker.io/docker/dockerfile:1.9-labs@sha256:0',
      'host:5000/m/dockerfile-upstream',
      'dockerfile.v0',
    ])
      expect([own, parse(`# syntax=${own}\nFROM a`).warnings]).toEqual([own, []]);
    const { warnings } = parse('# syntax=example.com/mopy:2\nFROM a');
    expect(warnings.map(({ message, range }) => [range.start.line, message])).toEqual([
      [1, 'Front-end "example.com/mopy:2" is not used: the file is read as a Containerfile'],
    ]);
  });
  test('a file in another language, with // syntax= or JSON, is refused by the name of its front-end', () => {
    for (const text of [
      '// syntax=example.com/mopy\nx',
      '#!x\n//syntax = example.com/mopy y\n',
      '{"syntax": "example.com/mopy"}',
    ]) {
      const error = failure(text);
      expect([error.code, error.message]).toEqual([
        'E_UNSUPPORTED',
        'The file is not a Containerfile: it asks for the front-end "example.com/mopy"',
      ]);
    }
    expect(failure('// syntax=docker/dockerfile:1\nFROM a').hint).toBe(
      'Write "# syntax=docker/dockerfile:1" in a Containerfile',
    );
  });
});

describe('Exec form (reference, section 8.1)', () => {
  test("8.1 #7: CMD ['a','b'] is shell form", () => {
    expect(script(only('CMD', "CMD ['a','b']"))).toBe("['a','b']");
  });
  test('8.1 #8: CMD [1] is an error that shows the member', () => {
    expect(failure('FROM a\nCMD [1]').message).toBe('JSON form takes strings only, but has 1');
    expect(failure('FROM a\nCMD ["a", ["b"]]').message).toBe('JSON form takes strings only, but has an array');
    expect(failure('FROM a\nRUN ["a", null]').code).toBe('E_PARSE');
  });
  test('8.1 #9: blanks behind the array do not matter', () => {
    expect(argv(only('ENTRYPOINT', 'ENTRYPOINT ["a"]  \t'))).toEqual(['a']);
    expect(argv(only('CMD', 'CMD   [ "a" , "b" ]'))).toEqual(['a', 'b']);
  });
  test('8.1 #22: VOLUME ["/a b"] is one volume', () => {
    expect(only('VOLUME', 'VOLUME ["/a b"]').paths.map(({ text }) => text)).toEqual(['/a b']);
    expect(only('VOLUME', 'VOLUME /a /b').paths.map(({ text }) => text)).toEqual(['/a', '/b']);
    expect(only('VOLUME', 'VOLUME [" /a "]').paths.map(({ text }) => text)).toEqual(['/a']);
  });
  test('8.1 #23: COPY ["a b","/dst/"] keeps the blank', () => {
    const copy = only('COPY', 'COPY ["a b","/dst/"]');
    expect([sources(copy), copy.destination.text]).toEqual([['a b'], '/dst/']);
  });
  test('8.1 #33: HEALTHCHECK CMD in exec and in shell form', () => {
    const exec = only('HEALTHCHECK', 'HEALTHCHECK --interval=5s CMD ["x", "y"]');
    expect([exec.intervalNs, exec.command]).toEqual([5e9, { form: 'exec', argv: ['x', 'y'] }]);
    expect(only('HEALTHCHECK', 'HEALTHCHECK CMD x || y').command).toEqual({
      form: 'shell',
      script: 'x || y',
      heredocs: [],
    });
  });
  test('8.1 #35: SHELL /bin/bash is an error', () => {
    const error = failure('FROM a\nSHELL /bin/bash');
    expect(error.message).toBe('SHELL must be a JSON array of strings, not "/bin/bash"');
    expect(error.hint).toBe('For example SHELL ["/bin/bash", "-c"]');
  });
});

describe('Names and values (reference, section 8.1)', () => {
  const pairs = (text: string) => {
    const [found] = body(text);
    if (found?.kind !== 'ENV' && found?.kind !== 'LABEL') throw new Error(text);
    return found.pairs.map(({ key, value }) => [key.text, value.text]);
  };
  const args = (text: string) => only('ARG', text).args.map((arg) => [arg.name, arg.default?.text]);

  test('8.1 #11: ONBUILD ONBUILD is an error', () => {
    expect(failure('FROM a\nONBUILD ONBUILD RUN x').message).toBe('ONBUILD cannot trigger ONBUILD');
  });
  test('8.1 #15: quoted names and values of LABEL', () => {
    expect(pairs('LABEL "a b"="c d" e=f')).toEqual([
      ['"a b"', '"c d"'],
      ['e', 'f'],
    ]);
  });
  test('8.1 #16: a value that goes on in the next line keeps its leading blanks', () => {
    expect(pairs('LABEL multi="line \\\n  next"')).toEqual([['multi', '"line   next"']]);
  });
  test('8.1 #17: ENV A B C sets A to "B C"', () => {
    expect(pairs('ENV A B C')).toEqual([['A', 'B C']]);
  });
  test('8.1 #18: ENV A=B C is an error: no "=" in "C"', () => {
    expect(failure('FROM a\nENV A=B C').message).toBe('ENV cannot find "=" in "C"');
  });
  test('8.1 #19: several arguments in one ARG', () => {
    expect(args('ARG A B=1 C')).toEqual([
      ['A', undefined],
      ['B', '1'],
      ['C', undefined],
    ]);
  });
  test('8.1 #20: ARG =x is an error', () => {
    expect(failure('FROM a\nARG =x').message).toBe('ARG has a blank name in "=x"');
  });
  test('8.1 #21: ports, protocols and ranges of EXPOSE', () => {
    const ports = only('EXPOSE', 'EXPOSE 80 443/udp 7000-7002').ports;
    expect(ports.flatMap(({ text, range }) => parsePorts(text, range))).toEqual([
      '80/tcp',
      '443/udp',
      '7000/tcp',
      '7001/tcp',
      '7002/tcp',
    ]);
  });
  test('8.1 #34: STOPSIGNAL RTMIN+3', () => {
    expect(only('STOPSIGNAL', 'STOPSIGNAL RTMIN+3').signal.text).toBe('RTMIN+3');
  });
  test('8.1 #36: USER in quotes keeps them until it is expanded', () => {
    expect(only('USER', 'USER "1000:1000"').user.text).toBe('"1000:1000"');
  });
  test('words end at any blank of Unicode, as in Go', () => {
    expect(args('ARG A=1\u00a0B=2\u3000C')).toEqual([
      ['A', '1'],
      ['B', '2'],
      ['C', undefined],
    ]);
    expect(parse('FROM a\u00a0').stages[0]?.from.image.text).toBe('a');
  });
});

describe('Flags (reference, section 8.1)', () => {
  test('8.1 #24: --chown and --chmod of COPY', () => {
    expect(only('COPY', 'COPY --chown=1:2 --chmod=0644 a /')).toMatchObject({
      chown: { text: '1:2' },
      chmod: { text: '0644' },
    });
  });
  test('8.1 #25: COPY --chown 1:2 is an error that shows the form with "="', () => {
    const error = failure('FROM a\nCOPY --chown 1:2 a /');
    expect([error.message, error.hint]).toEqual([
      'Flag "--chown" of COPY has no value',
      'Write it with "=": --chown=VALUE',
    ]);
  });
  test('8.1 #30: flags over several lines', () => {
    const run = only('RUN', 'RUN --mount=type=cache,target=/c \\\n    --network=none \\\n    cmd');
    expect(run).toMatchObject({
      network: { text: 'none' },
      mounts: [{ fields: [{ key: 'type' }, { key: 'target' }] }],
    });
    expect(script(run)).toBe('cmd');
  });
  test('8.1 #31: RUN -- --weird runs a command that begins with "--"', () => {
    expect(script(only('RUN', 'RUN -- --weird'))).toBe('--weird');
    expect(script(only('RUN', 'RUN --network=none -- --weird'))).toBe('--weird');
  });
  test('quotes and escapes in flags', () => {
    expect(only('COPY', 'COPY --chown="1:2" --exclude=\'a b\' --exclude=c\\ d a /')).toMatchObject({
      chown: { text: '1:2' },
      exclude: [{ text: 'a b' }, { text: 'c d' }],
    });
    expect(failure('FROM a\nCOPY --chown="1 a /').message).toBe('Flag has an opening " without a closing one');
  });
  test('an unknown flag is an error with the nearest one', () => {
    const error = failure('FROM a\nCOPY --form=b a /');
    expect([error.code, error.hint]).toEqual(['E_UNKNOWN_FLAG', 'Did you mean "--from"?']);
  });
});

describe('Heredocs (reference, section 8.1)', () => {
  test('8.1 #26: quotes in the word, in whole or in part, turn expansion off', () => {
    for (const [word, expand] of [
      ['EOF', true],
      ['"EOF"', false],
      ["'EOF'", false],
      ['E"O"F', false],
      ['\\EOF', true],
    ] as const) {
      const [heredoc] = heredocs(only('RUN', `RUN cat <<${word}\n$x\nEOF\n`));
      expect([word, heredoc?.name, heredoc?.expand]).toEqual([word, 'EOF', expand]);
    }
  });
  test('8.1 #26: <<- takes tabs away, but not spaces', () => {
    expect(heredocs(only('RUN', 'RUN <<-EOF\n\t\ta\n\t b\n  c\n\tEOF'))[0]?.body).toBe('a\n b\n  c\n');
    expect(failure('FROM a\nRUN <<-EOF\n  EOF').hint).toBe(
      'Line 3 has blanks around "EOF"; the terminator must stand alone on its line',
    );
  });
  test('8.1 #26: two heredocs, an empty one, and a terminator at the end of the file without a line end', () => {
    const bodies = heredocs(only('RUN', 'RUN cat <<A - <<"B" 3<<-C\na\nA\nB\n\tc\n\tC'));
    expect(bodies.map(({ name, body: text, fd }) => [name, text, fd])).toEqual([
      ['A', 'a\n', 0],
      ['B', '', 0],
      ['C', 'c\n', 3],
    ]);
  });
  test('8.1 #26: a heredoc that never ends is an error at its word', () => {
    const error = failure('FROM a\nRUN cat <<EOF\nb');
    expect(error.message).toBe('Heredoc "EOF" of line 2 is not terminated');
    if (!error.range) throw error;
    expect(codeFrame(error.range)).toContain('> 2 | RUN cat <<EOF\n    |         ^^^^^');
  });
  test('8.1 #27: a body with #! is kept as it is', () => {
    const run = only('RUN', 'RUN <<EOF\n#!/usr/bin/env python3\nprint("a")\nEOF');
    expect(heredocs(run)[0]?.body).toBe('#!/usr/bin/env python3\nprint("a")\n');
  });
  test('8.1 #28: a line that only begins with the terminator is text', () => {
    expect(heredocs(only('RUN', 'RUN <<EOF\nEOF2\n EOF\nEOF \nEOF'))[0]?.body).toBe('EOF2\n EOF\nEOF \n');
  });
  test('8.1 #29: COPY of two heredocs, and of files between them', () => {
    const copy = only('COPY', 'COPY <<a c <<b /dst/\n1\na\n2\nb');
    expect([sources(copy), copy.destination.text]).toEqual([[['a', '1\n'], 'c', ['b', '2\n']], '/dst/']);
  });
  test('the word of a COPY heredoc is a file name, not a path', () => {
    for (const name of ['../x', '..', '.', 'a/b', '/']) {
      const error = failure(`FROM a\nCOPY <<${name} /d/\nx\n${name}\n`);
      expect(error.message).toBe(`COPY cannot name a file "${name}"`);
    }
    expect(sources(only('COPY', 'COPY <<.env /d/\nx\n.env'))).toEqual([['.env', 'x\n']]);
  });
  test('under ONBUILD, for RUN, COPY and ADD', () => {
    const [run, copy, add] = body(
      'ONBUILD RUN <<A\n1\nA\nONBUILD COPY <<A <<B /\n1\nA\n2\nB\nonbuild add <<-A /\n\t1\n\tA\n',
    );
    expect(run).toMatchObject({ trigger: 'RUN <<A\n1\nA', instruction: { command: { heredocs: [{ body: '1\n' }] } } });
    expect(copy).toMatchObject({ trigger: 'COPY <<A <<B /\n1\nA\n2\nB' });
    expect(add).toMatchObject({ trigger: 'add <<-A /\n1\nA' });
  });
  test('not in exec form, not in quotes, not for other instructions, and <<"" is none', () => {
    expect(argv(only('RUN', 'RUN ["<<EOF"]'))).toEqual(['<<EOF']);
    expect(heredocs(only('RUN', 'RUN echo "<<EOF"'))).toEqual([]);
    expect(only('CMD', 'CMD cat <<EOF').command).toMatchObject({ heredocs: [] });
    expect(heredocs(only('RUN', 'RUN cat <<""'))).toEqual([]);
  });
  test('the body of a COPY heredoc has \\ as its escape character, whatever # escape= says, as in BuildKit', () => {
    const range = { source: { name: 'f', text: '' }, start: { line: 1, column: 1 }, end: { line: 1, column: 1 } };
    expect(expandHeredoc('\\$x `$x', { scope: () => 'v', escape: '`', range })).toBe('$x `v');
  });
});
