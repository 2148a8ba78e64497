import { describe, expect, test } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { cacheKey, type LowerOptions, type Node, type RunMount, type RunOp } from '../../src/graph/index.ts';
import { lowered, OPTIONS, resolveAll } from './support/lowering.ts';

const RANGE = { source: { name: 'x', text: '' }, start: { line: 1, column: 1 }, end: { line: 1, column: 1 } };

function runNode(text: string, changes: Partial<LowerOptions> = {}): Node & { readonly op: RunOp } {
  const { target } = lowered(text, changes);
  const { op } = target;
  if (op.kind !== 'run') throw new Error(`a ${op.kind} node`);
  return { ...target, op };
}

/** The mounts of one RUN, without their places. */
function mountsOf(
  flags: string,
  { before = '', ...changes }: Partial<LowerOptions> & { readonly before?: string } = {},
) {
  const node = runNode(`FROM bare AS one\nFROM bare\n${before}\nRUN ${flags} true\n`, changes);
  return node.op.mounts.map(({ range: _place, ...mount }) => mount);
}

function failure(flags: string): string {
  try {
    mountsOf(flags);
  } catch (error) {
    if (!(error instanceof BuildError) || !error.range) throw error;
    const { start, end } = error.range;
    return `${error.code} ${start.line}:${start.column}-${end.column} ${error.message} (${error.hint})`;
  }
  throw new Error('it is accepted');
}

const OWNER = { uid: 0, gid: 0 };

describe('RUN --mount', () => {
  test.each<[string, object]>([
    ['target=/m', { type: 'bind', target: '/m', input: 1, source: '/', readOnly: true }],
    ['source=../a/./b/,target=m/', { type: 'bind', target: '/m', source: '/a/b', input: 1, readOnly: true }],
    ['target=/m,rw', { type: 'bind', readOnly: false, input: 1, source: '/', target: '/m' }],
    ['target=/m,ro=false', { type: 'bind', readOnly: false, input: 1, source: '/', target: '/m' }],
    ['target=/m,rw,ro', { type: 'bind', readOnly: true, input: 1, source: '/', target: '/m' }],
    ['target=/m,from=one,source=/q', { type: 'bind', target: '/m', input: 1, source: '/q', readOnly: true }],
    ['type=cache,target=/a/../c', { type: 'cache', target: '/c', id: '/', sharing: 'shared' }],
    ['type=tmpfs,target=/t', { type: 'tmpfs', target: '/t', readOnly: false }],
    ['type=tmpfs,target=/t,size=64m,ro', { type: 'tmpfs', target: '/t', readOnly: true, sizeBytes: 64 * 1024 ** 2 }],
    ['type=secret,id=a', { type: 'secret', id: 'a', target: '/run/secrets/a', required: false, mode: 0o400, ...OWNER }],
    [
      'type=secret,source=a/b',
      { type: 'secret', id: 'a/b', target: '/run/secrets/b', required: false, mode: 0o400, ...OWNER },
    ],
    ['type=secret,target=/x/y', { type: 'secret', id: 'y', target: '/x/y', required: false, mode: 0o400, ...OWNER }],
    ['type=secret,id=a,env=A', { type: 'secret', id: 'a', env: 'A', required: false, mode: 0o400, ...OWNER }],
    [
      'type=secret,id=a,env=A,target=/f,required,mode=0440,uid=7,gid=8',
      { type: 'secret', id: 'a', env: 'A', target: '/f', required: true, mode: 0o440, uid: 7, gid: 8 },
    ],
    [
      'required=true,type=secret,id=a',
      { type: 'secret', id: 'a', target: '/run/secrets/a', required: true, mode: 0o400, ...OWNER },
    ],
    [
      'type=ssh',
      { type: 'ssh', id: 'default', target: '/run/buildkit/ssh_agent.0', required: false, mode: 0o600, ...OWNER },
    ],
    [
      'type=ssh,id=k,target=/s,required=0',
      { type: 'ssh', id: 'k', target: '/s', required: false, mode: 0o600, ...OWNER },
    ],
  ])('%s has the defaults of BuildKit', (mount, expected) => {
    const [found] = mountsOf(`--mount=${mount}`);
    if (found?.type === 'cache')
      expect(found).toMatchObject({ ...expected, id: '/c', readOnly: false, source: '/', mode: 0o755 });
    else expect(found).toEqual(expected);
  });

  test('a relative target is joined to WORKDIR, and names the cache as it is written', () => {
    const [mount] = mountsOf('--mount=type=cache,target=./deps', { before: 'WORKDIR /srv/app' });
    expect(mount).toMatchObject({ target: '/srv/app/deps', id: 'deps' });
  });

  test('BUILDKIT_CACHE_MOUNT_NS keeps caches of one id apart', () => {
    const [mount] = mountsOf('--mount=type=cache,target=/c,id=x', { buildArgs: { BUILDKIT_CACHE_MOUNT_NS: 'mine' } });
    expect(mount).toMatchObject({ id: 'mine//x' });
  });

  test('agents are counted by their mounts', () => {
    const targets = mountsOf('--mount=type=ssh --mount=target=/m --mount=type=ssh,id=b').flatMap(
      ({ target }) => target,
    );
    expect(targets).toEqual(['/run/buildkit/ssh_agent.0', '/m', '/run/buildkit/ssh_agent.1']);
  });

  test('variables are expanded everywhere but in from', () => {
    const before = 'ARG T=cache\nENV D=/c ID=i';
    expect(mountsOf('--mount=type=$T,target=$D/x,id=$ID-1', { before })[0]).toMatchObject({
      type: 'cache',
      target: '/c/x',
      id: 'i-1',
    });
  });

  test('a file of the context becomes a step of its own, over nothing, at its path', () => {
    const node = runNode('FROM bare\nRUN --mount=source=dir/f*,target=/m --mount=source=dir/f*,target=/n true\n');
    expect(node.inputs).toHaveLength(2);
    const [, files] = node.inputs;
    expect(files?.op).toMatchObject({
      kind: 'copy',
      destination: '/dir/f*',
      sources: [{ path: 'dir/f\\*', unpack: false }],
    });
    expect(files?.inputs.map(({ op }) => op.kind)).toEqual(['scratch', 'context']);
    expect(files?.label).toBe('RUN --mount source dir/f*');
  });

  test('roots that several mounts read are one input', () => {
    const node = runNode(
      'FROM bare AS a\nRUN x\nFROM bare\nRUN --mount=from=a,target=/1 --mount=from=a,target=/2 --mount=type=cache,from=a,target=/3 true\n',
    );
    expect(node.inputs).toHaveLength(2);
    expect(node.op.mounts.map((mount) => ('input' in mount ? mount.input : undefined))).toEqual([1, 1, 1]);
  });

  test('images that mounts read are asked for, also by triggers, and stages by name or number come first', () => {
    const names = (text: string) => [...resolveAll(text, OPTIONS).keys()].map((key) => key.split(' ')[0]);
    expect(names('FROM bare AS one\nFROM bare\nRUN --mount=from=one,target=/a --mount=from=0,target=/b true')).toEqual([
      'docker.io/library/bare:latest',
    ]);
    expect(names('FROM bare\nRUN --mount=from=tools:2,target=/a true')).toContain('docker.io/library/tools:2');
    expect(names('FROM bare AS p\nONBUILD RUN --mount=from=tools:3,target=/a true\nFROM p')).toContain(
      'docker.io/library/tools:3',
    );
  });

  test('an empty from is the context, as in BuildKit', () => {
    expect(runNode('FROM bare\nRUN --mount=from=,target=/a true').inputs[1]?.op.kind).toBe('copy');
  });
});

describe('A mount that makes no sense', () => {
  test.each([
    ['type=cach,target=/x', 'E_PARSE 4:18-22 The mount\'s type cannot be "cach" (Did you mean "cache"?)'],
    ['type=bind', 'E_PARSE 4:13-22 The mount has no target'],
    ['target=/', 'E_PARSE 4:20-21 Cannot mount over the root directory'],
    ['target=x/..', 'E_PARSE 4:20-24 Cannot mount over the root directory'],
    ['target=/proc/self', 'E_PARSE 4:20-30 Cannot mount at "/proc/self": /proc belongs to the sandbox'],
    [
      'target=/x,mode=0755',
      'E_PARSE 4:28-32 A mount of type bind has no "mode" (It belongs to type cache or secret or ssh',
    ],
    ['target=/x,id=a', 'A mount of type bind has no "id"'],
    ['type=tmpfs,target=/x,source=/y', 'A mount of type tmpfs has no "source"'],
    ['type=cache,target=/x,required', 'A mount of type cache has no "required"'],
    ['type=cache,target=/x,size=1g', 'A mount of type cache has no "size"'],
    ['type=secret,id=a,from=one', 'A mount of type secret has no "from"'],
    ['type=secret,id=a,sharing=locked', 'A mount of type secret has no "sharing"'],
    ['type=secret,id=a,source=b', 'A secret cannot have both "id" and "source"'],
    ['type=secret,id=a,ro=false', 'A mount of type secret cannot be writable'],
    ['type=secret', 'E_PARSE 4:18-24 A secret needs an id'],
    ['type=secret,id=a,env=A=B', 'A variable cannot be called "A=B"'],
    ['type=ssh,source=/x', 'A mount of type ssh has no "source"'],
    ['type=cache,target=/x,sharing=lockd', 'The mount\'s sharing cannot be "lockd" (Did you mean "locked"?)'],
    ['type=cache,target=/x,mode=0899', 'The mount\'s mode cannot be "0899" (Write it in octal: 0755)'],
    ['type=cache,target=/x,mode=77777', 'The mount\'s mode cannot be "77777"'],
    ['type=cache,target=/x,uid=me', 'The mount\'s uid cannot be "me"'],
    ['type=cache,target=/x,gid=4294967295', 'The mount\'s gid cannot be "4294967295"'],
    ['type=tmpfs,target=/x,size=64q', 'The mount\'s size cannot be "64q"'],
    ['target=/x,rw=maybe', 'cannot be "maybe" (Write true or false)'],
    ['target=/x,from=9', 'E_UNKNOWN_STAGE 4:28-29'],
  ])('%s', (mount, message) => {
    expect(failure(`--mount=${mount}`)).toContain(message);
  });

  test('insecure behind a variable is refused as well', () => {
    const text = 'FROM bare\nARG S=insecure\nRUN --security=$S true';
    expect(() => lowered(text)).toThrow('RUN --security=insecure is not supported');
    expect(lowered(text, { buildArgs: { S: 'sandbox' } }).target.op.kind).toBe('run');
  });

  test.each<[string, number]>([
    ['1', 1],
    ['64m', 64 * 1024 ** 2],
    ['64MB', 64 * 1024 ** 2],
    ['1.5k', 1536],
    ['2GiB', 2 * 1024 ** 3],
    ['1 t', 1024 ** 4],
  ])('the size %s is %d bytes', (size, bytes) => {
    expect(mountsOf(`--mount='type=tmpfs,target=/t,size=${size}'`)[0]).toMatchObject({ sizeBytes: bytes });
  });
});

describe('The key of a RUN with mounts', () => {
  const op = runNode('FROM bare\nRUN true').op;
  const keyOf = (mount: object, sources?: string) =>
    cacheKey(
      { ...op, mounts: [{ range: RANGE, ...mount } as RunMount] },
      {
        // made up, one field at a time
        platform: { os: 'linux', architecture: 'amd64' },
        parent: null,
        ...(sources === undefined ? {} : { sources }),
      },
    ).key;
  const cache = {
    type: 'cache',
    target: '/c',
    id: 'a',
    sharing: 'shared',
    readOnly: false,
    source: '/',
    mode: 0o755,
    ...OWNER,
  };
  const secret = { type: 'secret', target: '/s', id: 'a', required: false, mode: 0o400, ...OWNER };
  const bind = { type: 'bind', target: '/b', input: 1, source: '/', readOnly: true };
  const ssh = { type: 'ssh', target: '/a', id: 'default', required: false, mode: 0o600, ...OWNER };

  test.each<[string, object, object]>([
    ['the id of a cache', cache, { id: 'b' }],
    ['how a cache is shared', cache, { sharing: 'locked' }],
    ['whether a secret is required', secret, { required: true }],
    ['whose agent it is', ssh, { id: 'other', required: true, mode: 0o666 }],
    ['where it is written', bind, { range: { ...RANGE, start: { line: 7, column: 7 } } }],
  ])('does not cover %s', (_, mount, change) => {
    expect(keyOf({ ...mount, ...change })).toBe(keyOf(mount));
  });

  test.each<[string, object, object]>([
    ['the target of a cache', cache, { target: '/d' }],
    ['the mode of a cache', cache, { mode: 0o700 }],
    ['the id of a secret', secret, { id: 'b' }],
    ['the variable of a secret', secret, { env: 'A' }],
    ['the source of a bind', bind, { source: '/x' }],
    ['whether it is read-only', bind, { readOnly: false }],
    ['where the agent is', ssh, { target: '/b' }],
  ])('covers %s', (_, mount, change) => {
    expect(keyOf({ ...mount, ...change })).not.toBe(keyOf(mount));
  });

  test('covers what is mounted', () => {
    expect(keyOf(bind, 'sha256:1')).not.toBe(keyOf(bind, 'sha256:2'));
  });
});
