// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of Containerfiles
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { BuildError } from '../../../src/errors.ts';
import { type LintInput, type LintResult, lint, lintUnreadable } from '../../../src/graph/index.ts';
import { parseContainerfile, parseIgnoreFile } from '../../../src/parser/index.ts';
import { OPTIONS } from '../support/lowering.ts';

const path = fileURLToPath(new URL('../../../../shared/conformance/parse/lint.json', import.meta.url));

interface Warning {
  readonly rule: string;
  readonly line: number;
  readonly detail?: string;
}

interface Row {
  readonly name: string;
  readonly dockerfile: string;
  readonly dockerignore?: string;
  readonly warnings: readonly Warning[];
  readonly buildError?: string | boolean;
}

interface Correction {
  /** What the row lacks or has wrong; the proof is BuildKit's test of that name in dockerfile_check_test.go. */
  readonly reason: string;
  readonly row?: Partial<Row>;
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly target?: string;
}

const OTHER_FILE = 'the warnings belong to the next Dockerfile of the test, which is put together with fmt.Appendf';

/** Rows that do not say what BuildKit's test says, with what that test does. */
const CORRECTIONS: Readonly<Record<string, Correction>> = {
  'testCopyIgnoredFileContextRoot-2': { reason: 'the ignore file "*" is missing', row: { dockerignore: '\n*\n' } },
  'testAllTargetUnmarshal-1': {
    reason: 'the lists of two runs are one here: of a build (the last stage) and of a check (all stages)',
    row: {
      warnings: [
        { rule: 'UndefinedVar', line: 3, detail: "Usage of undefined variable '$foo'" },
        { rule: 'UndefinedVar', line: 6, detail: "Usage of undefined variable '$bar'" },
      ],
    },
  },
  'testRuleCheckOption-7': {
    reason: 'the build argument that overrides the directive is missing',
    buildArgs: { BUILDKIT_DOCKERFILE_CHECK: 'skip=ConsistentInstructionCasing;error=true' },
  },
  'testRuleCheckOption-8': {
    reason: 'the build argument that overrides the directive is missing',
    buildArgs: { BUILDKIT_DOCKERFILE_CHECK: 'skip=all' },
  },
  'testUndeclaredArg-9': {
    reason: OTHER_FILE,
    row: { dockerfile: '\nARG tag=latest\nFROM busybox:${tag}${version} AS b\nCOPY Dockerfile .\n' },
  },
  'testUnmatchedVars-4': {
    reason: OTHER_FILE,
    row: { dockerfile: '\nFROM alpine\nCOPY $foo .\nARG foo=bar\nRUN echo $foo\n' },
  },
  'testUnmatchedVars-5': {
    reason: OTHER_FILE,
    row: {
      dockerfile:
        '\nFROM alpine\nARG DIR_BINARIES=binaries/\nARG DIR_ASSETS=assets/\nARG DIR_CONFIG=config/\nCOPY $DIR_ASSET .\n',
    },
  },
  'testUnmatchedVars-6': {
    reason: OTHER_FILE,
    row: { dockerfile: '\nFROM alpine\nENV PATH=$PAHT:/tmp/bin\n' },
  },
  'testMultipleInstructionsDisallowed-1': {
    reason: 'the test makes its warnings with a function: its calls are missing here',
    row: { warnings: multiple([3, 5, 7]) },
  },
  'testMultipleInstructionsDisallowed-2': {
    reason: 'the test makes its warnings with a function: its calls are missing here',
    row: { warnings: multiple([3, 4, 5]) },
  },
  'testLegacyKeyValueFormat-3': {
    reason:
      'the lines are those of the file before (3 and 4 are blank and FROM here): checkLintWarning compares no lines, and ' +
      'no build says it, as the stage is not needed',
    row: {
      warnings: [
        {
          rule: 'LegacyKeyValueFormat',
          line: 5,
          detail: '"ENV key=value" should be used instead of legacy "ENV key value" format',
        },
        {
          rule: 'LegacyKeyValueFormat',
          line: 6,
          detail: '"LABEL key=value" should be used instead of legacy "LABEL key value" format',
        },
      ],
    },
  },
  'testInvalidDefaultArgInFrom-3': {
    reason: 'the Dockerfile of this row (ARG VERSION="latest") is missing; the row repeats the one before',
    row: { dockerfile: '\nARG VERSION="latest"\nFROM busybox:${VERSION}\n' },
  },
  'testBaseImagePlatformMismatch-1': {
    reason: `${OTHER_FILE}, and its base is pushed by the test: see the folder InvalidBaseImagePlatform of fixtures/lint`,
    row: { warnings: [] },
  },
};

function multiple(lines: readonly number[]): readonly Warning[] {
  return ['ENTRYPOINT', 'CMD', 'HEALTHCHECK'].map((name, index) => ({
    rule: 'MultipleInstructionsDisallowed',
    line: lines[index] ?? 0,
    detail: `Multiple ${name} instructions should not be used in the same stage because only the last one will be used`,
  }));
}

function check(row: Row, { buildArgs = {}, target }: Partial<Correction> = {}): LintResult {
  const source = { name: 'Dockerfile', text: row.dockerfile };
  const ignore =
    row.dockerignore === undefined
      ? undefined
      : { ...parseIgnoreFile(row.dockerignore, '.dockerignore'), fileName: '.dockerignore' };
  const input: LintInput = { options: { ...OPTIONS, buildArgs, target }, images: new Map(), ignore, stages: 'all' };
  try {
    return lint(parseContainerfile(source), input);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    return lintUnreadable([source], error, input);
  }
}

const byText = (rows: readonly object[]): string[] => rows.map((row) => JSON.stringify(row)).sort();

const present = existsSync(path);
if (!present) console.log(`absent: ../shared/conformance/parse/lint.json; BuildKit's lint table does not run`);
const rows: readonly Row[] = present ? JSON.parse(readFileSync(path, 'utf8')) : [];

describe.runIf(present)("BuildKit's own lint tests", () => {
  test.each(rows.map((row): [string, Row] => [row.name, row]))('%s', (name, written) => {
    const correction = CORRECTIONS[name];
    const row = { ...written, ...correction?.row };
    const result = check(row, correction);
    const found = result.warnings.map(({ rule, range, detail }) => ({ rule, line: range.start.line, detail }));
    const expected = row.warnings.map(({ rule, line, detail }) => {
      const same = found.find((warning) => warning.rule === rule && warning.line === line);
      return { rule, line, detail: detail ?? same?.detail };
    });
    expect(byText(found)).toEqual(byText(expected));
    if (typeof row.buildError === 'string') expect(result.error ?? result.violation).toBeInstanceOf(BuildError);
  });

  test('every correction belongs to a row', () => {
    expect(Object.keys(CORRECTIONS).filter((name) => !rows.some((row) => row.name === name))).toEqual([]);
  });
});
