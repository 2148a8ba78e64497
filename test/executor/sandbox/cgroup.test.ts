import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { limitRefusal, StepCgroup, settingsOf } from '../../../src/executor/sandbox/cgroup.ts';
import { tempDir } from '../../support/temp-dir.ts';

/** A directory stands for a hierarchy of cgroup v2: what is written into its files can be read there. */
let mount = '';
const USER = '/user.slice/build.scope';

function group(path: string, controllers: string, enabled = ''): void {
  mkdirSync(`${mount}${path}`, { recursive: true });
  writeFileSync(`${mount}${path}/cgroup.controllers`, `${controllers}\n`);
  writeFileSync(`${mount}${path}/cgroup.subtree_control`, `${enabled}\n`);
  writeFileSync(`${mount}${path}/cgroup.procs`, '41\n42\n');
}
const textOf = (path: string): string => readFileSync(`${mount}${path}`, 'utf8').trim();

beforeEach(() => {
  mount = tempDir();
  group('/user.slice', 'cpu memory pids', 'memory pids');
  group(USER, 'memory pids');
});
afterEach(() => rmSync(mount, { recursive: true, force: true }));

describe('The group of a step', () => {
  it('has its limits before anything runs in it, beside the group of the build', async () => {
    const step = new StepCgroup({ memoryBytes: 4096, pids: 5 }, { mount, own: USER });
    const [name = ''] = readdirSync(`${mount}/user.slice`).filter((entry) => entry.startsWith('tsbuild-'));
    expect(textOf(`/user.slice/${name}/memory.max`)).toBe('4096');
    writeFileSync(`${mount}/user.slice/${name}/pids.current`, '11\n');
    step.add(77);
    expect(textOf(`/user.slice/${name}/cgroup.procs`)).toBe('77');
    expect(textOf(`/user.slice/${name}/pids.max`)).toBe('16');
    for (const file of readdirSync(`${mount}/user.slice/${name}`)) rmSync(`${mount}/user.slice/${name}/${file}`);
    await step.remove();
    expect(existsSync(`${mount}/user.slice/${name}`)).toBe(false);
  });

  it('is made in the own group where that alone is delegated, from which the processes move into a leaf', () => {
    rmSync(`${mount}/user.slice/cgroup.procs`);
    new StepCgroup({ pids: 5 }, { mount, own: USER });
    expect(textOf(`${USER}/cgroup.subtree_control`)).toBe('+pids');
    expect(textOf(`${USER}/tsbuild-builder/cgroup.procs`)).toBe('42');
  });

  it('is made in --cgroup-parent, which never leads out of the hierarchy', () => {
    group('/ci', 'cpu');
    new StepCgroup({ cpuQuota: 50_000, parent: '../../ci' }, { mount, own: USER });
    expect(textOf('/ci/cgroup.subtree_control')).toBe('+cpu');
  });

  it('is refused with the cause and the fix where a controller is missing', () => {
    expect(limitRefusal({ cpusetCpus: '0' }, { mount, own: USER })).toMatchObject({
      code: 'E_SANDBOX',
      message: expect.stringContaining('Cannot keep --cpuset-cpus: the cgroup '),
      hint: expect.stringContaining('Delegate=cpuset'),
    });
  });

  it('is refused where nothing is delegated', () => {
    rmSync(`${mount}/user.slice`, { recursive: true });
    mkdirSync(`${mount}${USER}`, { recursive: true });
    expect(limitRefusal({ memoryBytes: 1 }, { mount, own: USER })?.message).toMatch(/is not delegated to this user/);
  });

  it('translates the limits of docker', () => {
    expect(Object.fromEntries(settingsOf({ memoryBytes: 100, cpuShares: 1024, cpuPeriod: 5000 }))).toEqual({
      'memory.max': '100',
      'memory.swap.max': '100',
      'cpu.weight': '39',
      'cpu.max': 'max 5000',
    });
    expect(settingsOf({ memoryBytes: 100, memorySwapBytes: -1 })).toContainEqual(['memory.swap.max', 'max']);
    expect(settingsOf({ memoryBytes: 100, memorySwapBytes: 130 })).toContainEqual(['memory.swap.max', '30']);
  });
});
