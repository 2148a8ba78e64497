import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CacheInputs,
  type CopyOp,
  cacheKey,
  explainMiss,
  type MissReason,
  type RunOp,
} from '../../src/graph/index.ts';
import type { ChainId } from '../../src/oci/index.ts';

const chain = (digit: string) => `sha256:${digit.repeat(64)}` as ChainId; // a made-up chain
const INPUTS: CacheInputs = { platform: { os: 'linux', architecture: 'amd64' }, parent: chain('a') };
const RUN: RunOp = {
  kind: 'run',
  argv: ['/bin/sh', '-c', 'make'],
  files: [],
  env: [
    ['PATH', '/bin'],
    ['NODE_ENV', 'dev'],
  ],
  proxyEnv: [],
  cwd: '/',
  user: '',
  network: 'default',
  mounts: [],
  pending: [],
};
const source = { name: 'Containerfile', text: 'x' };
const range = (line: number) => ({ source, start: { line, column: 1 }, end: { line, column: 2 } });
const FROM_CONTEXT = { input: 1, unpack: false };
const COPY: CopyOp = {
  kind: 'copy',
  sources: [{ type: 'path', path: 'src', range: range(1), ...FROM_CONTEXT }],
  destination: '/app/',
  link: false,
  parents: false,
  exclude: [],
  pending: [],
};
const COPY_INPUTS: CacheInputs = { ...INPUTS, sources: 'sha256:1' };

const runKey = (change: Partial<RunOp>) => cacheKey({ ...RUN, ...change }, INPUTS).key;
const copyKey = (change: Partial<CopyOp>) => cacheKey({ ...COPY, ...change }, COPY_INPUTS).key;

describe('The key of a step', () => {
  test.each<[string, Partial<RunOp>]>([
    ['the command', { argv: ['/bin/sh', '-c', 'make all'] }],
    ['the split of the command into words', { argv: ['/bin/sh', '-c make'] }],
    ['the script', { files: [{ path: '/dev/pipes/EOF', content: '#!/bin/sh' }] }],
    [
      'a value of the environment',
      {
        env: [
          ['PATH', '/bin'],
          ['NODE_ENV', 'prod'],
        ],
      },
    ],
    ['a further variable', { env: [...RUN.env, ['NEW', '']] }],
    ['the working directory', { cwd: '/app' }],
    ['the user', { user: '1000' }],
    ['the network', { network: 'none' }],
    ['a promised directory', { pending: [{ path: '/app', user: '' }] }],
    ['the owner of a promised directory', { pending: [{ path: '/app', user: '1' }] }],
  ])('of RUN changes with %s', (_what, change) => {
    expect(runKey(change)).not.toBe(runKey({}));
  });

  test.each<[string, Partial<CopyOp>]>([
    ['the source path', { sources: [{ type: 'path', path: 'lib', range: range(1), ...FROM_CONTEXT }] }],
    ['inline content', { sources: [{ type: 'inline', file: { name: 'src', content: 'x' } }] }],
    ['the destination', { destination: '/app' }],
    ['--chown', { chown: '1:1' }],
    ['--chmod', { chmod: '0644' }],
    ['ADD in place of COPY', { sources: [{ type: 'path', path: 'src', range: range(1), input: 1, unpack: true }] }],
    ['--link', { link: true }],
    ['--parents', { parents: true }],
    ['--exclude', { exclude: ['*.md'] }],
    ['a promised directory', { pending: [{ path: '/app', user: '' }] }],
  ])('of COPY changes with %s', (_what, change) => {
    expect(copyKey(change)).not.toBe(copyKey({}));
  });

  test.each<[string, Partial<CacheInputs>]>([
    ['the parent', { parent: chain('b') }],
    ['the absence of a parent', { parent: null }],
    ['the architecture', { platform: { os: 'linux', architecture: 'arm64' } }],
    ['the variant', { platform: { os: 'linux', architecture: 'amd64', variant: 'v3' } }],
    ['the content of the sources', { sources: 'sha256:2' }],
  ])('changes with %s', (_what, change) => {
    expect(cacheKey(COPY, { ...COPY_INPUTS, ...change }).key).not.toBe(copyKey({}));
  });

  test('does not change with proxy variables', () => {
    expect(runKey({ proxyEnv: [['HTTP_PROXY', 'http://user:password@proxy']] })).toBe(runKey({}));
  });

  test('holds no proxy variables in its preimage', () => {
    const { preimage } = cacheKey({ ...RUN, proxyEnv: [['HTTP_PROXY', 'hunter2']] }, INPUTS);
    expect(preimage).not.toContain('hunter2');
  });

  test('does not change with the line that the step stands on', () => {
    expect(copyKey({ sources: [{ type: 'path', path: 'src', range: range(9), ...FROM_CONTEXT }] })).toBe(copyKey({}));
  });

  test('depends on the value that the process sees, not on values that a later pair hides', () => {
    expect(runKey({ env: [['NODE_ENV', 'old'], ...RUN.env] })).toBe(runKey({}));
  });

  test('has a preimage that starts with its schema and parses as JSON', () => {
    const { preimage } = cacheKey(RUN, INPUTS);
    expect(preimage.startsWith('{"$schema":"tsbuild/step/1"')).toBe(true);
    expect(JSON.parse(preimage).op.env).toEqual({ PATH: '/bin', NODE_ENV: 'dev' });
  });

  test('does not depend on the order of object members or of variables', () => {
    const pairs = fc.uniqueArray(fc.tuple(fc.string({ minLength: 1 }), fc.string()), { selector: ([name]) => name });
    fc.assert(
      fc.property(pairs, fc.array(fc.string()), (env, argv) => {
        const there = cacheKey({ ...RUN, env, argv }, INPUTS);
        const members = Object.entries({ ...RUN, env: env.toReversed(), argv }).reverse();
        const back = cacheKey(Object.fromEntries(members) as unknown as RunOp, INPUTS); // the same members, reversed
        expect(back).toEqual(there);
      }),
    );
  });

  test('tells apart any two commands', () => {
    const argv = fc.array(fc.string());
    fc.assert(
      fc.property(argv, argv, (a, b) => {
        expect(runKey({ argv: a }) === runKey({ argv: b })).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });
});

describe('A miss is explained', () => {
  const run = (change: Partial<RunOp>, inputs: Partial<CacheInputs> = {}) =>
    explainMiss(cacheKey(RUN, INPUTS).preimage, cacheKey({ ...RUN, ...change }, { ...INPUTS, ...inputs }).preimage);
  const copy = (change: Partial<CopyOp>, inputs: Partial<CacheInputs> = {}) =>
    explainMiss(
      cacheKey(COPY, COPY_INPUTS).preimage,
      cacheKey({ ...COPY, ...change }, { ...COPY_INPUTS, ...inputs }).preimage,
    );

  test.each<[MissReason, string]>([
    [run({ argv: ['x'] }), 'command changed'],
    [
      run({
        env: [
          ['PATH', '/bin'],
          ['NODE_ENV', 'prod'],
        ],
      }),
      'environment NODE_ENV changed from "dev" to "prod"',
    ],
    [run({ env: [...RUN.env, ['CI', '1']] }), 'environment CI was added with value "1"'],
    [run({ env: [['PATH', '/bin']] }), 'environment NODE_ENV was removed'],
    [run({ user: 'bob' }), 'user changed from "" to "bob"'],
    [run({ files: [{ path: '/x', content: '' }] }), 'script changed'],
    [run({}, { parent: chain('b') }), 'the step before it has another result'],
    [run({ argv: ['x'] }, { parent: chain('b') }), 'command changed'],
    [
      run({}, { platform: { os: 'linux', architecture: 'arm64' } }),
      'platform changed from "linux/amd64" to "linux/arm64"',
    ],
    [run({}), 'nothing changed, but its result is no longer stored'],
    [copy({}, { sources: 'sha256:2' }), 'copied files changed'],
    [copy({ chown: '1:1' }), 'owner (--chown) was set to "1:1"'],
    [copy({ destination: '/x' }), 'destination changed from "/app/" to "/x"'],
    [explainMiss(cacheKey(RUN, INPUTS).preimage, cacheKey(COPY, INPUTS).preimage), 'another instruction was here'],
    [explainMiss('not JSON', cacheKey(RUN, INPUTS).preimage), 'it was built by another version of tsbuild'],
  ])('%s', ({ reason }, expected) => {
    expect(reason).toBe(expected);
  });
});
