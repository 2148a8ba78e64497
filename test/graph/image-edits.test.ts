import { describe, expect, test } from 'vitest';
import { type ImageEdits, NO_EDITS, stepsOf } from '../../src/graph/index.ts';
import { lowered } from './support/lowering.ts';

const edited = (text: string, edits: Partial<ImageEdits>, labels: Record<string, string> = {}) =>
  lowered(text, { edits: { ...NO_EDITS, ...edits }, labels });
const createdBy = (graph: ReturnType<typeof lowered>) => graph.history.map(({ entry }) => entry.created_by);

describe('--env', () => {
  test('is seen by RUN and kept by the image', () => {
    const graph = edited('FROM base\nRUN x', { env: { A: '1', B: '2' } });
    const [run] = stepsOf(graph);
    expect(run?.op.kind === 'run' ? Object.fromEntries(run.op.env) : {}).toMatchObject({ A: '1', B: '2' });
    expect(graph.config.Env).toEqual(expect.arrayContaining(['A=1', 'B=2']));
    expect(createdBy(graph)[0]).toBe('ENV A=1 B=2');
  });
  test('gives way to ENV, in the stage itself and in one that starts from it', () => {
    expect(edited('FROM base\nENV A=file', { env: { A: '1' } }).config.Env).toContain('A=file');
    const graph = edited('FROM base AS one\nENV A=file\nFROM one\nCMD x', { env: { A: '1' } });
    expect(graph.config.Env).toContain('A=file');
  });
  test('is taken as it is: no variable in it is expanded', () => {
    expect(edited('FROM base', { env: { A: '$PATH' } }).config.Env).toContain('A=$PATH');
  });
  test('--unsetenv takes a variable out of the image only', () => {
    const graph = edited('FROM base\nENV A=1\nRUN x', { unsetEnv: ['A', 'PATH'] });
    const [run] = stepsOf(graph);
    expect(run?.op.kind === 'run' ? run.op.env.map(([name]) => name) : []).toContain('A');
    expect(graph.config.Env).toEqual(['BASE=yes']);
  });
});

describe('labels', () => {
  test('--unsetlabel takes out what --label and LABEL set, and leaves no empty member', () => {
    const graph = edited('FROM scratch\nLABEL a=1', { unsetLabels: ['a', 'b'] }, { b: '2' });
    expect(graph.config.Labels).toBeUndefined();
  });
  test('--inherit-labels=false leaves out those of a base stage', () => {
    const text = 'FROM scratch AS one\nLABEL a=1\nFROM one\nLABEL b=2';
    expect(edited(text, { inheritLabels: false }).config.Labels).toEqual({ b: '2' });
    expect(edited(text, {}).config.Labels).toEqual({ a: '1', b: '2' });
  });
});

describe('annotations', () => {
  test('are those of the command line', () => {
    expect(edited('FROM scratch', { annotations: { a: '1', b: '' } }).annotations).toEqual({ a: '1', b: '' });
  });
  test('--unsetannotation wins', () => {
    expect(edited('FROM scratch', { annotations: { a: '1' }, unsetAnnotations: ['a'] }).annotations).toBeUndefined();
  });
});

describe('the platform', () => {
  test('has the features that were asked for, and none that was taken away again', () => {
    const { platform } = edited('FROM scratch', { osFeatures: ['removed', 'removed-', 'win32k'] });
    expect(platform['os.features']).toEqual(['win32k']);
  });
});

test('--from stands in the first FROM only', () => {
  const graph = lowered('FROM $nothing AS one\nFROM one', { from: 'scratch' });
  expect(graph.target.op.kind).toBe('scratch');
  expect(createdBy(graph)).toEqual(['FROM one']);
});

test('the global ARG SOURCE_DATE_EPOCH is told', () => {
  expect(lowered('ARG SOURCE_DATE_EPOCH=5\nFROM scratch').sourceDateEpoch).toBe('5');
  expect(lowered('FROM scratch\nARG SOURCE_DATE_EPOCH=5').sourceDateEpoch).toBeUndefined();
});
