import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { BuildError } from '../../../src/errors.ts';
import {
  type BaseImages,
  imageKey,
  LINT_RULES,
  type LintInput,
  type LintResult,
  lint,
  lintJson,
  lintText,
  lintUnreadable,
} from '../../../src/graph/index.ts';
import { parseContainerfile, parseIgnoreFile } from '../../../src/parser/index.ts';
import { OPTIONS } from '../support/lowering.ts';

const root = new URL('../../../fixtures/lint/', import.meta.url);
const read = (url: URL): string => readFileSync(url, 'utf8');

/** The store of these tests: one image, of another platform than asked for. */
const ARM64 = { os: 'linux', architecture: 'arm64' };
const images: BaseImages = new Map(
  [OPTIONS.platform, ARM64].flatMap((platform) =>
    ['arm', 'arm:2', 'arm:3'].map((name) => [
      imageKey(name, platform),
      {
        reference: name,
        digest: `sha256:${'0'.repeat(64)}`,
        config: { ...ARM64, rootfs: { type: 'layers', diff_ids: [] } },
      },
    ]),
  ),
);

function check(folder: URL): LintResult {
  const source = { name: 'Containerfile', text: read(new URL('Containerfile', folder)) };
  const ignorePath = new URL('ignore', folder);
  const fileName = '.containerignore';
  const ignore = existsSync(ignorePath) ? { ...parseIgnoreFile(read(ignorePath), fileName), fileName } : undefined;
  const input: LintInput = { options: OPTIONS, images, ignore, stages: 'all' };
  try {
    return lint(parseContainerfile(source), input);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    return lintUnreadable([source], error, input);
  }
}

/** As the command shows it: the report, then the error. */
function shown(folder: URL): string {
  try {
    const result = check(folder);
    const { error } = result;
    return error === undefined ? lintText(result) : `${lintText(result)}\n${error.code}: ${error.message}\n`;
  } catch (error) {
    if (error instanceof BuildError) return `${error.code}: ${error.message}\n`;
    throw error;
  }
}

function expectOnRecord(text: string, golden: URL): void {
  if (process.env.UPDATE_FIXTURES === '1') writeFileSync(golden, text);
  expect(text).toBe(read(golden));
}

describe('The report of --check is the one on record (UPDATE_FIXTURES=1 writes it anew)', () => {
  test.each(readdirSync(root))('%s', (name) => {
    const folder = new URL(`${name}/`, root);
    expectOnRecord(shown(folder), new URL('report.txt', folder));
  });

  test.each(['UndefinedVar', 'unreadable'])('%s, as JSON', (name) => {
    const folder = new URL(`${name}/`, root);
    expectOnRecord(lintJson(check(folder)), new URL('report.json', folder));
  });
});

test.each(Object.keys(LINT_RULES))('%s has a folder of its own that it speaks in', (rule) => {
  expect(check(new URL(`${rule}/`, root)).warnings.map((warning) => warning.rule)).toContain(rule);
});
