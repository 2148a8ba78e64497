import { describe, expect, test } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { contextKey, lint, type NamedContext, requiredImages, stageHint } from '../../src/graph/index.ts';
import { lowered, OPTIONS, parse } from './support/lowering.ts';

function failure(text: string, changes: Parameters<typeof lowered>[1] = {}): BuildError {
  try {
    lowered(text, changes);
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
  throw new Error('It was lowered without an error');
}

const contexts = (entries: Readonly<Record<string, NamedContext>>) => ({ contexts: new Map(Object.entries(entries)) });

const imagesOf = (text: string, changes: Parameters<typeof lowered>[1] = {}): string[] =>
  requiredImages(parse(text), { ...OPTIONS, ...changes }, new Map()).map(
    ({ name, platform }) => `${name} ${platform.architecture}`,
  );

describe('FROM', () => {
  test('takes a digest, with and without a tag (8.1 #37)', () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    expect(imagesOf(`FROM a@${digest}`)).toEqual([`a@${digest} amd64`]);
    expect(imagesOf(`FROM a:t@${digest}`)).toEqual([`a:t@${digest} amd64`]);
    expect(failure('FROM a@sha256:12').range?.start).toEqual({ line: 1, column: 6 });
  });

  test('of a stage has that stage’s platform, and COPY --from of an image the target’s', () => {
    const arm = { platform: { os: 'linux', architecture: 'arm64' } };
    const text = 'FROM --platform=$BUILDPLATFORM a AS one\nFROM one AS two\nCOPY --from=b /x /';
    expect(imagesOf(text, arm)).toEqual(['a amd64', 'b arm64']);
    expect(lowered(text, arm).platform.architecture).toBe('amd64');
  });

  test.each([
    ['FROM --platform=$NOPE base', 'E_EXPANSION', 17],
    ['FROM --platform=linux/a/b/c base', 'E_BAD_PLATFORM', 17],
    ['FROM $NOPE', 'E_EXPANSION', 6],
    ['FROM ""', 'E_EXPANSION', 6],
    ['FROM Upper/Case', 'E_BAD_REFERENCE', 6],
    ['FROM containers-storage:x', 'E_UNSUPPORTED', 6],
    ['FROM oci:', 'E_BAD_REFERENCE', 6],
  ])('%s is an error at its place', (text, code, column) => {
    const error = failure(text);
    expect([error.code, error.range?.start]).toEqual([code, { line: 1, column }]);
    expect(error.hint).toBeDefined();
  });

  test('of something that is no name suggests the stage that was meant', () => {
    const error = failure('FROM base AS builder\nRUN x\nFROM Bilder_');
    expect([error.code, error.hint]).toEqual(['E_BAD_REFERENCE', expect.stringContaining('stage "builder"')]);
    const file = parse('FROM later\nFROM base AS later\nFROM base AS other');
    expect(stageHint(file, 'Later')).toBe(
      'The stage "later" begins at Containerfile:2: move it before the place that needs it',
    );
    expect(stageHint(file, 'othre')).toContain('Did you mean the stage "other"?');
    expect(stageHint(file, 'asets', ['assets'])).toContain('Did you mean the build context "assets"?');
    expect([stageHint(file, 'alpine'), stageHint(file, 'other:1')]).toEqual([undefined, undefined]);
  });

  test('warns where a variable should be declared', () => {
    const [warning] = lint(parse('FROM base$NOPE'), { options: OPTIONS, images: new Map(), stages: 'all' }).warnings;
    expect(warning?.hint).toBe('Declare it with ARG NOPE before the first FROM');
  });
});

describe('COPY --from', () => {
  test('takes a number, a stage, an image, but no later stage (8.3 #78)', () => {
    const text =
      'FROM base AS one\nRUN x\nFROM scratch\nCOPY --from=0 /a /\nCOPY --from=ONE /b /\nCOPY --from=alpine:3 /c /';
    expect(imagesOf(text)).toEqual(['base amd64', 'alpine:3 amd64']);
    const kinds = [];
    for (let node = lowered(text).target; node.inputs[1]; node = node.inputs[0] ?? node)
      kinds.unshift(node.inputs[1].op.kind);
    expect(kinds).toEqual(['run', 'run', 'image']);
    const error = failure('FROM scratch\nCOPY --from=late /a /\nFROM base AS late', { target: '0' });
    expect([error.code, error.range?.start]).toEqual(['E_UNKNOWN_STAGE', { line: 2, column: 13 }]);
  });
});

describe('The name of a build context', () => {
  test.each([
    ['alpine', 'docker.io/library/alpine:latest'],
    ['Alpine:LATEST', 'index.docker.io/library/alpine'],
    ['quay.io/me/app', 'quay.io/me/app:latest'],
    ['base::linux/amd64', 'docker.io/library/base::amd64'],
  ])('%s is also %s', (one, other) => {
    expect(contextKey(one)).toBe(contextKey(other));
  });

  test.each([
    ['alpine', 'alpine:3'],
    ['alpine', 'alpine::linux/arm64'],
    ['me/app', 'quay.io/me/app'],
  ])('%s is not %s', (one, other) => {
    expect(contextKey(one)).not.toBe(contextKey(other));
  });

  test('may be a stage’s that is no image’s', () => {
    const { target } = lowered('FROM base AS a..b\nRUN x\nFROM a..b', contexts({ 'a..b': { type: 'directory' } }));
    expect(target.inputs.map(({ op }) => op.kind)).toEqual(['scratch', 'context']);
  });

  test('replaces no scratch and no main context', () => {
    expect(() => contextKey('scratch')).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
    const graph = lowered('FROM scratch\nCOPY a b', contexts({ other: { type: 'directory' } }));
    expect(graph.target.inputs.map(({ op }) => op)).toEqual([
      { kind: 'scratch' },
      { kind: 'context', name: 'context' },
    ]);
  });

  test('may replace the target', () => {
    const graph = lowered('FROM base AS app\nRUN x\nENV A=b', contexts({ app: { type: 'image', name: 'bare' } }));
    expect([graph.target.op, graph.config.Env?.[0]]).toEqual([
      expect.objectContaining({ kind: 'image', reference: 'test/bare' }),
      'ONLY=this',
    ]);
  });

  test('with a bad image is an error at the place that needs it', () => {
    const error = failure('FROM base\nCOPY --from=x a b', contexts({ x: { type: 'image', name: 'A//b' } }));
    expect([error.code, error.range?.start.line]).toEqual(['E_BAD_REFERENCE', 2]);
  });
});
