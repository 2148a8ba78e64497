import { describe, expect, it } from 'vitest';
import { runFake } from './fake-host.ts';

async function optionsOf(args: readonly string[]): Promise<object> {
  const { exitCode, calls, stderr } = await runFake([...args, '.']);
  expect(exitCode, stderr).toBe(0);
  return calls.build?.[0] ?? {};
}

describe('what RUN runs in', () => {
  it.each<[string, string[], object]>([
    [
      '--volume',
      ['-v', '/a:/b', '--volume=c:/d/../e:ro', '-v=/f:/g:rw'],
      {
        volumes: [
          { source: '/a', target: '/b', readOnly: false },
          { source: 'c', target: '/e', readOnly: true },
          { source: '/f', target: '/g', readOnly: false },
        ],
      },
    ],
    ['--mount', ['--mount=type=tmpfs,target=/x'], { mounts: ['type=tmpfs,target=/x'] }],
    [
      '--cap-add and --cap-drop',
      ['--cap-add=a,b', '--cap-add', 'c', '--cap-drop=ALL'],
      { capabilities: { add: ['a', 'b', 'c'], drop: ['ALL'] } },
    ],
    ['--http-proxy alone', ['--http-proxy'], { httpProxy: true }],
    [
      '--add-host',
      ['--add-host=a:10.0.0.1', '--add-host', 'b=::1', '--add-host=c:[fe80::1]', '--add-host=d:host-gateway'],
      {
        sandbox: {
          hosts: [
            { name: 'a', address: '10.0.0.1' },
            { name: 'b', address: '::1' },
            { name: 'c', address: 'fe80::1' },
            { name: 'd', address: 'host-gateway' },
          ],
        },
      },
    ],
    ['--dns none', ['--dns=none'], { sandbox: { resolver: 'image' } }],
    [
      '--dns and its sisters',
      ['--dns=10.0.0.1,10.0.0.2', '--dns-search=a.example', '--dns-option=ndots:2'],
      { sandbox: { resolver: { servers: ['10.0.0.1', '10.0.0.2'], search: ['a.example'], options: ['ndots:2'] } } },
    ],
    ['no --dns', [], { sandbox: { resolver: undefined, noNewPrivileges: false } }],
    [
      '--security-opt',
      ['--security-opt=label=disable', '--security-opt', 'seccomp:unconfined', '--security-opt=no-new-privileges:true'],
      { seccomp: 'unconfined', sandbox: { noNewPrivileges: true } },
    ],
    ['--security-opt seccomp', ['--security-opt', 'seccomp=a:b.json'], { seccomp: { file: 'a:b.json' } }],
    ['--security-opt seccomp=builtin', ['--security-opt', 'seccomp=builtin'], { seccomp: undefined }],
    ['--hostname', ['--hostname=box.example'], { sandbox: { hostname: 'box.example' } }],
    ['--timeout', ['--timeout=1h2m3s'], { timeoutMs: 3_723_000 }],
    ['--timeout in seconds', ['--timeout', '90'], { timeoutMs: 90_000 }],
    ['--shm-size', ['--shm-size=1.5g'], { sandbox: { shmSizeBytes: 1_610_612_736 } }],
    [
      '--ulimit',
      ['--ulimit=nofile=1:2', '--ulimit', 'core=0', '--ulimit=nproc=5:-1', '--ulimit=stack=unlimited'],
      {
        sandbox: {
          ulimits: [
            { resource: 'nofile', soft: 1, hard: 2 },
            { resource: 'core', soft: 0, hard: 0 },
            { resource: 'nproc', soft: 5, hard: undefined },
            { resource: 'stack', soft: undefined, hard: undefined },
          ],
        },
      },
    ],
    [
      'limits of cgroups',
      ['-m', '1g', '-c=2', '--cpuset-cpus=0-1,3'],
      { sandbox: { limits: { memoryBytes: 1024 ** 3, cpuShares: 2, cpusetCpus: '0-1,3' } } },
    ],
    [
      '--cpus and --pids-limit',
      ['--cpus=1.5', '--pids-limit=20'],
      { sandbox: { limits: { cpuQuota: 150_000, pids: 20 } } },
    ],
    [
      'limits that are none',
      ['--memory=0', '--cpu-quota=-1', '--cpu-shares=0', '--pids-limit=-1'],
      { sandbox: { limits: undefined } },
    ],
  ])('%s', async (_name, args, expected) => {
    expect(await optionsOf(args)).toMatchObject(expected);
  });

  it.each<[string[], string]>([
    [['-v', '/a'], '--volume "/a" is not SOURCE:TARGET[:ro]'],
    [['-v', '/a:b'], 'is not SOURCE:TARGET[:ro]'],
    [['-v', '/a:/'], 'would hide the whole root'],
    [['-v', '/a:/b:z'], 'the option "z" is not supported'],
    [['--add-host', 'a:b'], '--add-host "a:b" is not NAME:ADDRESS'],
    [['--dns', 'x'], '--dns "x" is not an address'],
    [['--dns', 'none', '--dns', '10.0.0.1'], '--dns none goes with no other'],
    [['--dns-search', 'a b'], '"a b" cannot stand in resolv.conf'],
    [['--security-opt', 'seccomp'], '--security-opt "seccomp" is not supported'],
    [['--security-opt', 'apparmor=strict'], '--security-opt "apparmor=strict" is not supported'],
    [['--hostname', 'a_b'], '--hostname "a_b" is not a host name'],
    [['--timeout', '5 minutes'], '--timeout "5 minutes" is not a time'],
    [['--timeout', '0'], '--timeout "0" is not a time'],
    [['--shm-size', 'big'], '--shm-size "big" is not a size'],
    [['--ulimit', 'files=1'], '--ulimit "files=1" is not known'],
    [['--ulimit', 'nofile=x'], '"x" is not a number'],
    [['--ulimit', 'nofile=2:1'], 'the soft limit is above the hard limit'],
    [['--cpu-shares=bogus'], '--cpu-shares "bogus" is not a whole number'],
    [['--cpus=x'], '--cpus "x" is not a number'],
    [['--memory=2g', '--memory-swap=1g'], '--memory-swap is memory and swap together'],
    [['--memory=lots'], '--memory "lots" is not a size'],
    [['--cpuset-cpus=a'], '--cpuset-cpus "a" is not a list'],
    [['--layers=false'], '--layers=false is not supported'],
    [['--rm=false'], '--rm=false is not supported'],
    [['--push'], '--push needs a name to push to'],
    [['--userns=auto'], 'Option "--userns" is not built yet'],
  ])('%s ends with 2', async (args, message) => {
    const { exitCode, stderr } = await runFake([...args, '.']);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});

it('says what else was asked of the result', async () => {
  expect(
    await optionsOf(['-t', 'a', '--push', '--load', '--squash', '--rm', '--force-rm=true', '--layers']),
  ).toMatchObject({
    push: true,
    squash: true,
  });
  expect(await optionsOf(['--squash=false', '--push=false'])).toMatchObject({ push: false, squash: false });
});
