import { describe, expect, it } from 'vitest';
import { runFake } from './fake-host.ts';

const ENV = { HERE: 'env', SOURCE_DATE_EPOCH: '1700000000' };

/** What the operation got. */
async function optionsOf(args: readonly string[], env: Readonly<Record<string, string>> = ENV): Promise<object> {
  const { exitCode, calls, stderr } = await runFake([...args, '.'], { env });
  expect(exitCode, stderr).toBe(0);
  return calls.build?.[0] ?? {};
}

describe('what the image says', () => {
  it.each<[string, string[], object]>([
    ['--env', ['--env=A=1=2', '--env', 'HERE', '--env', 'UNSET', '--env=A=3'], { env: { A: '3', HERE: 'env' } }],
    ['--unsetenv', ['--unsetenv=PATH'], { unsetEnv: ['PATH'] }],
    ['--unsetlabel', ['--unsetlabel', 'a', '--unsetlabel', 'b'], { unsetLabels: ['a', 'b'] }],
    ['--annotation', ['--annotation=a=1,b=2', '--annotation', 'c'], { annotations: { a: '1,b=2', c: '' } }],
    ['--annotation manifest:', ['--annotation=manifest:a=1'], { annotations: { a: '1' } }],
    ['--inherit-labels', ['--inherit-labels=false'], { inheritLabels: false }],
    ['--inherit-annotations alone', ['--inherit-annotations'], { inheritAnnotations: true }],
    ['--os-feature', ['--os-feature=a', '--os-feature=a-'], { osFeatures: ['a', 'a-'] }],
    ['nothing', [], { env: {}, inheritLabels: true, inheritAnnotations: false }],
  ])('%s', async (_name, args, expected) => {
    expect(await optionsOf(args)).toMatchObject({ edits: expected });
  });

  it.each<[string, string[], string[]]>([
    ['--arch', ['--arch=arm'], ['linux/arm']],
    ['--os', ['--os', 'windows'], ['windows']],
    ['all parts', ['--os=linux', '--arch=arm', '--variant=v6'], ['linux/arm/v6']],
    ['--platform without an os', ['--platform=/arm'], ['linux/arm']],
    ['--platform without an architecture', ['--platform=linux/'], ['linux']],
    [
      'a list',
      ['--platform=linux/arm64, linux/amd64', '--platform', '/arm'],
      ['linux/arm64', 'linux/amd64', 'linux/arm'],
    ],
    ['none', [], []],
  ])('the platform by %s', async (_name, args, platforms) => {
    expect(await optionsOf(args)).toMatchObject({ platforms });
  });

  it('--identity-label adds the label of this program, which --label may set itself', async () => {
    expect(await optionsOf(['--identity-label'])).toMatchObject({
      labels: { 'io.tsbuild.version': expect.any(String) },
    });
    expect(await optionsOf([])).toMatchObject({ labels: {} });
  });
});

describe('times', () => {
  it.each<[string, string[], object]>([
    ['the environment', [], { sourceDateEpoch: 1_700_000_000, buildArgs: { SOURCE_DATE_EPOCH: '1700000000' } }],
    ['--build-arg before it', ['--build-arg', 'SOURCE_DATE_EPOCH=7'], { sourceDateEpoch: 7 }],
    [
      'the option before all, but not for ARG',
      ['--source-date-epoch=0', '--build-arg', 'SOURCE_DATE_EPOCH=7', '--rewrite-timestamp'],
      { sourceDateEpoch: 0, buildArgs: { SOURCE_DATE_EPOCH: '7' } },
    ],
    ['--timestamp', ['--timestamp=60'], { timestamp: 60, buildArgs: {} }],
  ])('%s', async (_name, args, expected) => {
    expect(await optionsOf(args)).toMatchObject(expected);
  });
});

it.each<[string[], string]>([
  [['--env', '=x'], '--env "=x" has no name'],
  [['--annotation', 'index:a=b'], 'Annotations of "index" are not supported yet'],
  [['--annotation', 'a=b', '--format=docker'], 'Images of the Docker format have no annotations'],
  [['--platform=linux/arm', '--arch=arm'], '--platform and --os, --arch or --variant exclude each other'],
  [['--variant=v7'], '--variant needs --arch'],
  [['--source-date-epoch=soon'], '--source-date-epoch "soon" is not a number of seconds since 1970'],
  [['--timestamp=1', '--source-date-epoch=1'], 'exclude each other'],
  [['--rewrite-timestamp=false'], 'must give the same bytes again'],
  [['--pull=sometimes'], 'choose one of: always, missing, newer, never'],
])('%s ends with 2', async (args, message) => {
  const { exitCode, stderr } = await runFake([...args, '.']);
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)]);
});
