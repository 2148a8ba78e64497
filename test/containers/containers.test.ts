import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Containers } from '../../src/containers/container-store.ts';
import { checkName, nameFor, newId } from '../../src/containers/names.ts';
import { type ContainerRecord, livenessOf, markOf, statusOf } from '../../src/containers/record.ts';
import { signalNumber } from '../../src/containers/stop.ts';
import { sweepTransient } from '../../src/containers/sweep.ts';
import { tempDir } from '../support/temp-dir.ts';

const record = (name: string, more: Partial<ContainerRecord> = {}): ContainerRecord => ({
  id: newId(),
  name,
  image: 'image0',
  imageId: 'sha256:0',
  argv: ['sh'],
  created: new Date().toISOString(),
  ports: [],
  isTransient: false,
  stopSignal: 'SIGTERM',
  env: {},
  cwd: '/',
  user: '',
  monitor: markOf(process.pid),
  state: { kind: 'starting' },
  ...more,
});

const open = () => {
  const root = join(tempDir(), 'containers');
  mkdirSync(root);
  return { root, containers: new Containers(root) };
};

const dead = { ...markOf(process.pid), processStart: '1' };

describe('containers on disk', () => {
  it('are found by name, by id and by the beginning of an id', async () => {
    const { containers } = open();
    const one = record('one');
    await containers.create(one);
    await containers.create(record('two'));
    expect((await containers.find('one')).id).toBe(one.id);
    expect((await containers.find(one.id.slice(0, 12))).name).toBe('one');
    await expect(containers.find('three')).rejects.toMatchObject({ code: 'E_NO_CONTAINER' });
    await expect(containers.find('')).rejects.toMatchObject({ code: 'E_NO_CONTAINER' });
  });

  it('have names of their own, however many ask for one at once', async () => {
    const { containers } = open();
    const made = await Promise.allSettled(Array.from({ length: 8 }, () => containers.create(record('web'))));
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of made)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'E_CONTAINER' });
    expect(await containers.list()).toHaveLength(1);
  });

  it('are removed by one of two, and leave nothing', async () => {
    const { root, containers } = open();
    const one = record('one');
    await containers.create(one);
    expect([containers.remove(one.id), containers.remove(one.id)]).toEqual([true, false]);
    await expect(containers.write(one)).rejects.toMatchObject({ code: 'E_NO_CONTAINER' });
    expect(readdirSync(root)).toEqual([]);
  });

  it('are not made of what a killed process left', async () => {
    const { root, containers } = open();
    mkdirSync(join(root, '.abc-1'));
    mkdirSync(join(root, 'f'.repeat(64)));
    mkdirSync(join(root, 'e'.repeat(64)));
    writeFileSync(join(root, 'e'.repeat(64), 'container.json'), '{"id":"');
    expect(await containers.list()).toEqual([]);
    await containers.create(record('one'));
    expect(existsSync(join(root, '.abc-1'))).toBe(false);
  });

  it('that were to be removed at their end go when their monitor was killed', async () => {
    const { containers } = open();
    await containers.create(record('transient', { isTransient: true, monitor: dead }));
    await containers.create(record('kept', { monitor: dead }));
    await containers.create(record('alive', { isTransient: true }));
    await sweepTransient(containers);
    expect((await containers.list()).map(({ name }) => name).sort()).toEqual(['alive', 'kept']);
  });
});

describe('what is said of a container', () => {
  const running = { kind: 'running', started: '', init: markOf(process.pid), program: markOf(process.pid) } as const;
  const monitor = markOf(process.pid);

  it('is what its monitor wrote, as long as that lives', () => {
    expect(statusOf({ monitor, state: { kind: 'starting' } })).toBe('starting');
    expect(statusOf({ monitor, state: running })).toBe('running');
  });

  it('is that it is lost, when the monitor is gone', () => {
    expect(statusOf({ monitor: dead, state: running })).toBe('lost');
    expect(statusOf({ monitor: dead, state: { kind: 'starting' } })).toBe('lost');
  });

  it('is that it is lost after another start of the machine, even where the number is in use again', () => {
    expect(statusOf({ monitor: { ...monitor, boot: 'another' }, state: running })).toBe('lost');
  });

  it('is nothing certain from another pid namespace', () => {
    expect(statusOf({ monitor: { ...monitor, pidNamespace: '1' }, state: running })).toBe('elsewhere');
    expect(livenessOf({ ...monitor, pidNamespace: '1' })).toBe('elsewhere');
  });

  it('is its end, once that was written', () => {
    expect(statusOf({ monitor: dead, state: { kind: 'exited', exitCode: 3, ended: '' } })).toBe('exited');
  });
});

describe('names', () => {
  it('are made of the name of the image', () => {
    const id = 'abcd'.repeat(16);
    expect(nameFor('quay.io/me/image0:1.2', id)).toBe('image0-abcd');
    expect(nameFor(`image0@sha256:${'0'.repeat(64)}`, id)).toBe('image0-abcd');
    expect(nameFor('0'.repeat(64), id)).toBe('container-abcd');
  });

  it.each(['', '-x', '../x', 'a b', 'a/b', '.hidden', 'x'.repeat(129)])('cannot be %j', (name) => {
    expect(() => checkName(name)).toThrow('cannot be the name');
  });
});

describe('STOPSIGNAL', () => {
  it.each([
    ['SIGTERM', 15],
    ['quit', 3],
    ['9', 9],
    ['RTMIN+3', 37],
    ['SIGRTMAX-1', 63],
  ])('%s is %i', (text, number) => {
    expect(signalNumber(text)).toBe(number);
  });
});
