// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of Containerfiles
import { describe, expect, test } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { type CopyOp, stepsOf } from '../../src/graph/index.ts';
import { lowered } from './support/lowering.ts';

function copyOf(text: string): CopyOp {
  const op = stepsOf(lowered(text)).find((step) => step.op.kind === 'copy')?.op;
  if (op?.kind !== 'copy') throw new Error('There is no copy');
  return op;
}

function failure(text: string): BuildError {
  try {
    lowered(text);
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
  throw new Error('It was lowered without an error');
}

const lastHistory = (text: string) => lowered(text).history.at(-1)?.entry.created_by;

describe('flags of COPY and ADD', () => {
  test('expand their variables', () => {
    const op = copyOf('FROM base\nARG U=5 P=*.md\nCOPY --chown=$U:${U} --chmod=0${U}0 --exclude=**/$P --parents a /');
    expect(op).toMatchObject({ chown: '5:5', chmod: '050', exclude: ['**/*.md'], parents: true, link: false });
  });

  test('that expand to nothing are not there, as in BuildKit', () => {
    const op = copyOf('FROM base\nARG MODE\nCOPY --chown=$MODE --chmod=${MODE} a /');
    expect(op).not.toHaveProperty('chown');
    expect(op).not.toHaveProperty('chmod');
  });

  test('are in the history as BuildKit writes them', () => {
    const text = 'FROM base\nCOPY --exclude=x --chmod=640 --link --chown=1:2 --parents a b /d/';
    expect(lastHistory(text)).toBe('COPY --parents --chown=1:2 --chmod=640 a b /d/');
  });

  test.each<[string, string, number, RegExp]>([
    ['an octal mode above 07777 (8.3 #76)', 'COPY --chmod=10000 a /', 14, /--chmod/],
    ['a symbolic mode that is none (8.3 #77)', 'COPY --chmod=u+q a /', 14, /--chmod/],
    ['a name in --chown with --link (8.3 #82)', 'COPY --link --chown=5:app a /', 21, /"app".*--link/],
    ['a malformed --exclude (8.3 #81)', 'COPY --exclude=[a a /', 16, /--exclude/],
    ['an --exclude of nothing but "!" (8.3 #81)', 'COPY --exclude=! a /', 16, /--exclude/],
    ['--checksum of a local file (8.3 #85)', 'ADD --checksum=sha256:00 a /', 16, /--checksum/],
    ['--checksum of a heredoc', 'ADD --checksum=sha256:00 <<E /\nx\nE', 16, /--checksum/],
    ['--keep-git-dir of a local file (8.3 #86)', 'ADD --keep-git-dir a /', 1, /--keep-git-dir.*git/],
  ])('refuse %s at its place, before any step runs', (_name, line, column, message) => {
    const error = failure(`FROM base\nRUN slow\n${line}`);
    expect(error.code).toBe('E_PARSE');
    expect(error.message).toMatch(message);
    expect(error.range?.start).toEqual({ line: 3, column });
    expect(error.hint).toBeTruthy();
  });

  test('--link takes numbers in --chown', () => {
    expect(copyOf('FROM base\nCOPY --link --chown=5:6 a /')).toMatchObject({ chown: '5:6', link: true });
  });

  test('ADD --unpack=false copies archives as files, ADD unpacks them (8.3 #84)', () => {
    const unpack = (line: string) =>
      copyOf(`FROM base\n${line}`).sources.map((source) => 'unpack' in source && source.unpack);
    expect(unpack('ADD a.tar /')).toEqual([true]);
    expect(unpack('ADD --unpack=true a.tar /')).toEqual([true]);
    expect(unpack('ADD --unpack=false a.tar /')).toEqual([false]);
    expect(unpack('COPY a.tar /')).toEqual([false]);
  });

  test('--link leaves the directory of WORKDIR to the step after it', () => {
    const steps = stepsOf(lowered('FROM base\nWORKDIR /new\nCOPY --link a .\nRUN x'));
    const pending = steps.map(({ op }) => ('pending' in op ? op.pending.map(({ path }) => path) : []));
    expect(pending).toEqual([[], ['/new']]);
    expect(steps[0]?.op).toMatchObject({ destination: '/new/' });
  });
});
