import { describe, expect, it } from 'vitest';
import type { ProcessSpec } from '../../../src/executor/sandbox/index.ts';
import { runtimeConfig } from '../../../src/executor/sandbox/oci/config.ts';

const step: ProcessSpec = {
  argv: ['sh', '-c', 'true'],
  env: { PATH: '/bin', A: 'b=c' },
  cwd: '/work',
  uid: 0,
  gid: 0,
  groups: [5],
  network: 'host',
  hostname: 'box',
  directories: [],
  files: [],
  mounts: [],
};
const configOf = (more: Partial<ProcessSpec> = {}) => JSON.parse(runtimeConfig({ ...step, ...more }, '6.1.0'));

describe('config.json for an OCI runtime', () => {
  it('says what the step is', () => {
    const config = configOf();
    expect(config.process).toMatchObject({
      args: ['sh', '-c', 'true'],
      env: ['PATH=/bin', 'A=b=c'],
      cwd: '/work',
      user: { uid: 0, gid: 0, umask: 0o022, additionalGids: [5] },
      noNewPrivileges: false,
    });
    expect(config.hostname).toBe('box');
    expect(config.linux.namespaces.map(({ type }: { type: string }) => type)).toEqual([
      'pid',
      'ipc',
      'uts',
      'mount',
      'cgroup',
    ]);
  });

  it('leaves capabilities in effect to root only', () => {
    const settings = { capabilities: ['CHOWN', 'KILL'] };
    expect(configOf({ settings }).process.capabilities).toMatchObject({
      bounding: ['CAP_CHOWN', 'CAP_KILL'],
      effective: ['CAP_CHOWN', 'CAP_KILL'],
      ambient: [],
    });
    const { capabilities } = configOf({ settings, uid: 5 }).process;
    expect(capabilities).toMatchObject({ bounding: ['CAP_CHOWN', 'CAP_KILL'], effective: [], permitted: [] });
  });

  it('writes a limit without end as the number that JavaScript cannot hold', () => {
    const ulimits = [{ resource: 'nofile', soft: 5, hard: undefined }];
    expect(runtimeConfig({ ...step, settings: { ulimits } }, '6.1.0')).toContain(
      '"rlimits":[{"type":"RLIMIT_NOFILE","soft":5,"hard":18446744073709551615}]',
    );
  });

  it('has the default profile with its conditions decided, another one, or none', () => {
    type Rule = { names: string[]; action: string; errnoRet?: number; args?: object[] };
    const rulesOf = (more: Partial<ProcessSpec>): Rule[] => configOf(more).linux.seccomp.syscalls;
    const allows = (rules: Rule[], name: string) => rules.filter(({ names }) => names.includes(name));
    expect(configOf().linux.seccomp).toMatchObject({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1 });
    expect(allows(rulesOf({}), 'mount')).toEqual([]);
    expect(allows(rulesOf({}), 'clone3')).toMatchObject([{ action: 'SCMP_ACT_ERRNO', errnoRet: 38 }]);
    expect(allows(rulesOf({}), 'clone')[0]?.args).toEqual([
      { index: 0, op: 'SCMP_CMP_MASKED_EQ', value: 0x7e020000, valueTwo: 0 },
    ]);
    expect(allows(rulesOf({ settings: { capabilities: ['SYS_ADMIN'] } }), 'mount')).toHaveLength(1);
    expect(configOf({ settings: { seccomp: 'unconfined' } }).linux.seccomp).toBeUndefined();
  });

  it('refuses a mount where the runtime would cover it', () => {
    const mounts = [{ kind: 'tmpfs', target: '/dev/x', readOnly: false } as const];
    expect(() => runtimeConfig({ ...step, mounts }, '6.1.0')).toThrow('Cannot mount at "/dev/x" with --isolation oci');
  });
});
