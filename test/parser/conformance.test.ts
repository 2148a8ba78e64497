import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { BuildError, type SourceRange } from '../../src/errors.ts';
import { readDirectives } from '../../src/parser/directives.ts';
import { syntaxOfOtherLanguage } from '../../src/parser/front-end.ts';
import { findHeredocWords } from '../../src/parser/heredoc.ts';
import { compileIgnorePattern } from '../../src/parser/ignore-pattern.ts';
import {
  expand,
  expandWords,
  filepathMatch,
  parseContainerfile,
  parseIgnoreFile,
  parsePorts,
  type StageInstruction,
} from '../../src/parser/index.ts';
import { parseJsonForm } from '../../src/parser/json-form.ts';
import { type LogicalLine, readLogicalLines } from '../../src/parser/lines.ts';
import { parseShellPattern, stripPattern } from '../../src/parser/shell-pattern.ts';
import { splitQuoted } from '../../src/parser/words.ts';
import { buildkitDump } from './buildkit-dump.ts';

const tables = fileURLToPath(new URL('../../../shared/conformance/', import.meta.url));

/** Parsed JSON: each table's shape is named where it is read. */
function table<T>(path: string): T {
  return JSON.parse(readFileSync(tables + path, 'utf8')) as T;
}

const source = (text: string) => ({ name: 'Containerfile', text });
const range: SourceRange = { source: source(''), start: { line: 1, column: 1 }, end: { line: 1, column: 1 } };

function located(text: string) {
  return { source: source(text), text, segments: [{ offset: 0, position: { line: 1, column: 1 } }] };
}

function firstInstruction(text: string): StageInstruction {
  const instruction = parseContainerfile(source(`FROM scratch\n${text}`)).stages[0]?.instructions[0];
  if (!instruction) throw new Error(`no instruction in ${text}`);
  return instruction;
}

/** Positive cases that only work at the level of words, with what stops them above it. */
const WORDS_ONLY = new Set(['flags', 'health']);

const present = existsSync(tables);
if (!present) console.log('absent: ../shared/conformance, the tables of BuildKit and moby; their tests do not run');

describe.runIf(present)('conformance with BuildKit and moby', () => {
  it('has no table that no test reads', () => {
    const files = ['parse', 'expand', 'ignore'].flatMap((folder) =>
      readdirSync(tables + folder).map((name) => `${folder}/${name}`),
    );
    // lint.json is read by the tests of `build --check`.
    expect(files.filter((file) => file !== 'parse/lint.json').sort()).toEqual([
      'expand/expand.json',
      'expand/shell-pattern-regex.json',
      'expand/words.json',
      'ignore/compile.json',
      'ignore/ignorefile.json',
      'ignore/patterns-storage.json',
      'ignore/patterns.json',
      'parse/copy-heredoc.json',
      'parse/directives.json',
      'parse/empty-continuation.json',
      'parse/expose.json',
      'parse/heredoc-words.json',
      'parse/heredoc.json',
      'parse/instruction-errors.json',
      'parse/json-arrays.json',
      'parse/lines',
      'parse/lines.json',
      'parse/negative',
      'parse/positive',
      'parse/run-heredoc.json',
      'parse/words.json',
    ]);
  });

  describe('parse', () => {
    for (const name of present ? readdirSync(`${tables}parse/positive`) : []) {
      it(`reads positive/${name} as BuildKit does`, () => {
        const text = readFileSync(`${tables}parse/positive/${name}/Dockerfile`, 'utf8');
        const result = readFileSync(`${tables}parse/positive/${name}/result`, 'utf8').trim();
        expect(buildkitDump(source(text))).toBe(result);
        // Files without FROM are no whole Containerfiles; the rest goes through to the tree.
        if (/^from /im.test(text) && !WORDS_ONLY.has(name))
          expect(parseContainerfile(source(text)).stages).not.toEqual([]);
      });
    }

    it('refuses in positive/ exactly what never was valid', () => {
      const refusals = [...WORDS_ONLY].map((name) => {
        const text = readFileSync(`${tables}parse/positive/${name}/Dockerfile`, 'utf8');
        return [name, codeOf(() => parseContainerfile(source(text)))];
      });
      expect(refusals).toEqual([
        ['flags', 'E_UNKNOWN_FLAG'],
        ['health', 'E_PARSE'],
      ]);
    });

    for (const name of present ? readdirSync(`${tables}parse/negative`) : []) {
      it(`refuses negative/${name}`, () => {
        const text = readFileSync(`${tables}parse/negative/${name}/Dockerfile`, 'utf8');
        expect(codeOf(() => parseContainerfile(source(text)))).toBe('E_PARSE');
      });
    }

    it('gives each instruction the lines that BuildKit gives it', () => {
      const lines = table<{ ast: [number, number]; children: [number, number][] }>('parse/lines.json');
      const file = parseContainerfile(source(readFileSync(`${tables}parse/lines/Dockerfile`, 'utf8')));
      const found = file.stages.flatMap((stage) => [stage.from, ...stage.instructions]);
      expect(found.map((node) => [node.range.start.line, node.range.end.line])).toEqual(lines.children);
      expect([found[0]?.range.start.line, found.at(-1)?.range.end.line]).toEqual(lines.ast);
    });

    it('splits words', () => {
      for (const { input, expect: words } of table<{ input: string; expect: string[] }[]>('parse/words.json')) {
        const spans = splitQuoted(input, { from: 0, to: input.length }, '\\');
        expect(spans.map(({ from, to }) => input.slice(from, to))).toEqual(words);
      }
    });

    it('tells JSON arrays of strings from everything else', () => {
      for (const row of table<{ input: string; valid: boolean; values?: string[] }[]>('parse/json-arrays.json')) {
        const input = row.input.trim();
        const parse = () => parseJsonForm(located(input), { from: 0, to: input.length })?.map((word) => word.text);
        if (row.valid) expect(parse()).toEqual(row.values);
        else expect(codeOf(parse)).toBe('E_PARSE');
      }
    });

    it('finds directives', () => {
      type Row = {
        dockerfile: string;
        directives?: { name: string; value: string }[];
        syntax?: string | null;
        check?: string | null;
      };
      for (const row of table<Row[]>('parse/directives.json')) {
        // `syntax` behind `//` or in JSON stands in files of other languages: found, and refused by its name.
        const other = syntaxOfOtherLanguage(row.dockerfile.split('\n'));
        if (other !== undefined) {
          expect(other).toBe(row.syntax);
          expect(codeOf(() => readDirectives(source(row.dockerfile)))).toBe('E_UNSUPPORTED');
          continue;
        }
        const found = readDirectives(source(row.dockerfile)).directives;
        if (row.syntax !== undefined) expect(found.syntax ?? null).toBe(row.syntax);
        if (row.check !== undefined) expect(found.check ?? null).toBe(row.check);
        for (const directive of row.directives ?? [])
          expect(found).toMatchObject({ [directive.name]: directive.value });
      }
    });

    it('warns of empty lines in a continuation', () => {
      const row = table<{ dockerfile: string; warnings: string[] }>('parse/empty-continuation.json');
      const { stages, warnings } = parseContainerfile(source(row.dockerfile));
      const warned = warnings.map(({ range: { start } }) =>
        stages[0]?.instructions.find(({ range: all }) => all.start.line <= start.line && start.line <= all.end.line),
      );
      expect(warned.map((instruction) => instruction?.raw)).toEqual(row.warnings);
    });

    it('refuses what BuildKit refuses', () => {
      for (const row of table<{ dockerfile: string; error: string }[]>('parse/instruction-errors.json')) {
        expect([row.dockerfile, codeOf(() => firstInstruction(row.dockerfile))]).toEqual([
          row.dockerfile,
          row.error.startsWith('unknown instruction') ? 'E_UNKNOWN_INSTRUCTION' : 'E_PARSE',
        ]);
      }
    });

    it('finds heredocs and their bodies', () => {
      type Table = { dockerfile: string; heredocs: (Record<string, unknown>[] | null)[] };
      const { dockerfile, heredocs: wanted } = table<Table>('parse/heredoc.json');
      const { lines } = readLogicalLines(source(dockerfile), { escape: '\\' });
      // Child 0 is FROM.
      const found = lines.slice(1).map((line: LogicalLine) => line.heredocs.map(({ heredoc }) => heredoc));
      expect(found).toHaveLength(wanted.length);
      for (const [index, heredocs] of found.entries()) {
        const simple = heredocs.map((heredoc) => ({
          name: heredoc.name,
          content: heredoc.body,
          expand: heredoc.expand,
          fd: heredoc.fd,
          chomp: heredoc.stripTabs,
        }));
        const rows = (wanted[index] ?? []).map((row) => ({
          name: row.name,
          content: row.chomp ? String(row.content).replace(/^\t+/gm, '') : row.content,
          expand: row.expand,
          fd: row.fileDescriptor ?? 0,
          chomp: row.chomp ?? false,
        }));
        expect(simple).toEqual(rows);
      }
    });

    it('knows heredoc words', () => {
      type Table = {
        valid: string[];
        invalid: string[];
        notHeredoc: string[];
        lines: [string, string[]][];
        chomp: [string, string];
      };
      const { valid, invalid, notHeredoc, lines, chomp } = table<Table>('parse/heredoc-words.json');
      for (const word of valid) expect([word, findHeredocWords(located(word))[0]?.name]).toEqual([word, 'EOF']);
      for (const word of invalid) expect([word, findHeredocWords(located(word))]).toEqual([word, []]);
      for (const word of notHeredoc) {
        // All of it must be the heredoc: `<<EOF sh` begins with one.
        const whole = findHeredocWords(located(word)).filter(({ span }) => span.to - span.from === word.length);
        expect([word, whole]).toEqual([word, []]);
      }
      const [written, stripped] = chomp;
      const chomped = firstInstruction(`COPY <<-EOF /x\n${written}EOF\n`);
      expect(chomped).toMatchObject({ sources: [{ heredoc: { body: stripped } }] });
      for (const [line, names] of lines) expect(findHeredocWords(located(line)).map(({ name }) => name)).toEqual(names);
    });

    it('reads COPY heredocs', () => {
      type Row = {
        dockerfile: string;
        dest: string;
        sources: string[];
        contents: { path: string; data: string; expand: boolean }[];
      };
      for (const row of table<Row[]>('parse/copy-heredoc.json')) {
        const copy = firstInstruction(row.dockerfile);
        if (copy.kind !== 'COPY') throw new Error('not a COPY');
        expect(copy.destination.text).toBe(row.dest);
        expect(copy.sources.flatMap((from) => (from.type === 'path' ? [from.path.text] : []))).toEqual(row.sources);
        const contents = copy.sources.flatMap((from) => (from.type === 'heredoc' ? [from.heredoc] : []));
        expect(contents.map(({ name, body, expand: on }) => ({ path: name, data: body, expand: on }))).toEqual(
          row.contents,
        );
      }
    });

    it('reads RUN heredocs', () => {
      type Row = {
        dockerfile: string;
        shell: boolean;
        command: string[];
        files: { name: string; data: string; chomp?: boolean }[];
      };
      for (const row of table<Row[]>('parse/run-heredoc.json')) {
        const run = firstInstruction(row.dockerfile);
        if (run.kind !== 'RUN') throw new Error('not a RUN');
        const { command } = run;
        expect(command.form).toBe(row.shell ? 'shell' : 'exec');
        expect(command.form === 'shell' ? [command.script] : command.argv).toEqual(row.command);
        const files = command.form === 'shell' ? command.heredocs : [];
        expect(files.map(({ name, body }) => ({ name, data: body }))).toEqual(
          row.files.map(({ name, data, chomp }) => ({ name, data: chomp ? data.replace(/^\t+/gm, '') : data })),
        );
      }
    });

    it('reads the ports of EXPOSE', () => {
      for (const row of table<{ specs: string[]; ports?: string[]; error?: unknown }[]>('parse/expose.json')) {
        const parse = () => row.specs.flatMap((spec) => parsePorts(spec, range));
        if (row.error) expect([row.specs, codeOf(parse)]).toEqual([row.specs, 'E_PARSE']);
        else expect(parse().sort()).toEqual([...(row.ports ?? [])].sort());
      }
    });
  });

  describe('expand', () => {
    type Row = {
      template: string;
      env: Record<string, string>;
      expected?: string;
      words?: string[];
      error?: boolean;
      matched?: string[];
      unmatched?: string[];
    };
    const options = (row: Row) => ({ scope: (name: string) => row.env[name], escape: '\\' as const, range });

    it('expands as BuildKit does', () => {
      for (const row of table<Row[]>('expand/expand.json')) {
        const run = () => expand(row.template, options(row));
        if (row.error) expect([row.template, codeOf(run)]).toEqual([row.template, 'E_EXPANSION']);
        else expect([row.template, run()]).toEqual([row.template, row.expected]);
      }
    });

    it('asks for the variables that BuildKit asks for', () => {
      for (const row of table<Row[]>('expand/expand.json')) {
        if (!row.matched || !row.unmatched) continue;
        const asked = new Set<string>();
        const scope = (name: string): string | undefined => {
          asked.add(name);
          return row.env[name];
        };
        expand(row.template, { ...options(row), scope });
        expect([...asked].sort()).toEqual([...row.matched, ...row.unmatched].sort());
      }
    });

    it('splits expanded words as BuildKit does', () => {
      for (const row of table<Row[]>('expand/words.json')) {
        const run = () => expandWords(row.template, options(row));
        if (row.error) expect([row.template, codeOf(run)]).toEqual([row.template, 'E_EXPANSION']);
        else expect([row.template, run()]).toEqual([row.template, row.words]);
      }
    });

    it('knows which patterns are malformed', () => {
      type PatternRow = { pattern: string; error?: boolean; regex?: string };
      for (const row of table<PatternRow[]>('expand/shell-pattern-regex.json')) {
        const pattern = parseShellPattern(row.pattern);
        expect([row.pattern, pattern === undefined]).toEqual([row.pattern, row.error ?? false]);
        // Each row is greedy and anchored: what `${x##pattern}` takes away.
        for (const value of row.regex && pattern ? ['', '*', '**', 'a*', 'abc'] : []) {
          const wanted = value.replace(new RegExp(row.regex ?? ''), '');
          expect([row.pattern, stripPattern(value, pattern ?? { runs: [] }, { end: 'prefix', longest: true })]).toEqual(
            [row.pattern, wanted],
          );
        }
      }
    });
  });

  describe('ignore', () => {
    type Row = { src: string; patterns: string[]; path: string; ignored?: boolean; error?: unknown };

    for (const file of ['patterns.json', 'patterns-storage.json']) {
      it(`matches as ${file} says`, () => {
        for (const row of table<Row[]>(`ignore/${file}`)) {
          const run = () => parseIgnoreFile(row.patterns.join('\n'), '.containerignore').match(row.path).ignored;
          const found = row.error ? codeOf(run) : run();
          expect([row.patterns, row.path, found]).toEqual([
            row.patterns,
            row.path,
            row.error ? 'E_CONTEXT' : row.ignored,
          ]);
        }
      });
    }

    it('compiles the patterns of compile.json to the same tests', () => {
      type CompileRow = { pattern: string; matchType: string; regexp?: string };
      const rows = table<CompileRow[]>('ignore/compile.json');
      const names = rows.flatMap(({ pattern }) => [
        pattern,
        pattern.replace(/\*+\/?/g, ''),
        pattern.replace(/\*/g, 'x'),
      ]);
      const paths = [
        ...names,
        ...names.map((name) => `x/y${name}`),
        ...names.map((name) => `x/${name}/y`),
        'ace',
        'aee',
      ];
      for (const { pattern, matchType, regexp } of rows) {
        const wanted: Record<string, (path: string) => boolean> = {
          exactMatch: (path) => path === pattern,
          prefixMatch: (path) => path.startsWith(pattern.replace('**', '')),
          suffixMatch: (path) => path.endsWith(pattern.replace('**', '')),
          regexpMatch: (path) => new RegExp(regexp ?? '').test(path),
        };
        const test = compileIgnorePattern(pattern);
        for (const path of paths)
          expect([pattern, path, test(path)]).toEqual([pattern, path, wanted[matchType]?.(path)]);
        expect(() => filepathMatch(pattern, 'x')).not.toThrow();
      }
    });

    it('reads an ignore file', () => {
      type FileRow = { content?: string; patterns: string[]; patternsIn?: string[]; exclusions?: boolean };
      const [row, clean] = table<FileRow[]>('ignore/ignorefile.json');
      // Two lines are a lone "!". moby's reader keeps them and its matcher refuses them (patternmatcher.New: `illegal
      // exclusion pattern: "!"`); reader and matcher are one here.
      const content = row?.content?.replace(/\n!\n! $/, '') ?? '';
      const found = parseIgnoreFile(content, 'f').patterns.map(
        (pattern) => (pattern.negated ? '!' : '') + pattern.path,
      );
      expect(found).toEqual(row?.patterns.filter((pattern) => pattern !== '!'));
      expect(codeOf(() => parseIgnoreFile(row?.content ?? '', 'f'))).toBe('E_CONTEXT');
      const patterns = parseIgnoreFile(clean?.patternsIn?.join('\n') ?? '', 'f').patterns;
      expect(patterns.some(({ negated }) => negated)).toBe(clean?.exclusions);
    });
  });
});

function codeOf(run: () => unknown): unknown {
  try {
    return { returned: run() };
  } catch (error) {
    if (error instanceof BuildError) return error.code;
    throw error;
  }
}
