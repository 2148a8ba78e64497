import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatIdMap, identityMap, parseIdMap, subordinateMap } from '../../../src/executor/sandbox/id-map.ts';
import { requires } from '../../support/requires.ts';
import { bundleDriver, canRunSteps, startDriver, userExists } from './harness.ts';

const isThere = (name: string) => requires(`user ${name}`, canRunSteps() && userExists(name));
let directory = '';

beforeAll(async () => {
  directory = await bundleDriver();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const processes = () => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });

async function startSleeping(user: string, seconds: number): Promise<ChildProcess> {
  const child = startDriver(directory, user, { steps: [{ script: `sleep ${seconds}` }] });
  for (let tries = 0; tries < 100 && !processes().includes(`\nsleep ${seconds}`); tries++) await sleep(100);
  expect(processes()).toContain(`\nsleep ${seconds}`);
  return child;
}

async function gone(marker: string): Promise<boolean> {
  for (let tries = 0; tries < 50; tries++) {
    if (!processes().includes(marker)) return true;
    await sleep(100);
  }
  return false;
}

describe('the namespace of the build', () => {
  it.skipIf(!isThere('root')).each([
    ['SIGTERM', 143, 5001],
    ['SIGINT', 130, 5002],
  ] as const)('passes %s on and ends with %i', async (signal, code, seconds) => {
    const child = await startSleeping('root', seconds);
    child.kill(signal);
    expect((await once(child, 'exit'))[0]).toBe(code);
    expect(await gone(`sleep ${seconds}`)).toBe(true);
  });

  it.skipIf(!isThere('root'))('leaves nothing when the outer process is killed', async () => {
    const child = await startSleeping('root', 5003);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await gone('sleep 5003')).toBe(true);
    expect(await gone(`${directory}/driver.js`)).toBe(true);
  });

  it.skipIf(!isThere('nobody'))('tells a user without sub-ids what to do who wants real owners', async () => {
    const child = startDriver(directory, 'nobody', { steps: [] }, { TSBUILD_OWNERS: 'real' });
    if (!child.stdout) throw new Error('The driver has no output');
    const { code, message, hint } = JSON.parse(await text(child.stdout));
    expect(code).toBe('E_NO_SUBUID');
    expect(message).toBe('Cannot run steps as user "nobody": it has no ids of its own in "/etc/subuid"');
    expect(hint).toBe('As root, run: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 nobody');
  });
});

describe('id maps', () => {
  it('give a user itself as 0 and all of its ranges after it, by name or by number', () => {
    const file = '# comment\nother:1:5\nalice:100000:65536\n1001:300000:10\n';
    expect(formatIdMap(subordinateMap(file, { name: 'alice', id: 1001 }, 1001))).toBe(
      '0 1001 1\n1 100000 65536\n65537 300000 10\n',
    );
    expect(subordinateMap(file, { name: undefined, id: 7 }, 7)).toEqual([]);
  });

  it('are the identity over what root has', () => {
    expect(formatIdMap(identityMap(parseIdMap('         0     100000      65536\n     70000 200000 5\n')))).toBe(
      '0 0 65536\n70000 70000 5\n',
    );
  });
});
