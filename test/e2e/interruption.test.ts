import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');
let serial = 0;

/** Processes whose command line has the marker. */
function processesWith(marker: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(marker);
      } catch {
        return false; // it has ended meanwhile
      }
    });
}

async function until(isTrue: () => boolean, ms: number): Promise<boolean> {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(20)) if (isTrue()) return true;
  return isTrue();
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly stderr: () => string;
}

/** A build whose step says `ready`, starts a process in the background, and goes on for long. */
async function startStep(space: Workspace, marker: string): Promise<Running> {
  const child = space.person.start(['--root', space.store, 'build', '-t', 'broken', space.context]);
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdout?.resume();
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  await until(() => /\| ready/.test(stderr) && processesWith(marker).length >= 2, 20_000);
  expect(stderr).toMatch(/\| ready/);
  return { child, ended, stderr: () => stderr };
}

const mounts = (): string => readFileSync('/proc/self/mountinfo', 'utf8');

describe.runIf(hasBase()).each(people())('a build that $name interrupts', (person) => {
  const project = (marker: string): Workspace =>
    workspace(person, {
      containerfile: `FROM ${BASE}\nRUN (setsid sleep ${marker} &) ; trap '' INT TERM; echo ready; sleep ${marker}; sleep ${marker}\n`,
    });
  /** An argument of `sleep` that nobody else has: many seconds, and a fraction of this test. */
  const newMarker = (): string => `7${process.pid}.${++serial}${Date.now() % 100000}`;

  async function expectNothingLeft(space: Workspace, marker: string): Promise<void> {
    await until(() => processesWith(marker).length === 0, 1000);
    expect(processesWith(marker)).toEqual([]);
    expect(mounts()).not.toContain(space.store);
    space.write({ Containerfile: `FROM ${BASE}\nRUN echo good\n` });
    await space.build(['-t', 'good']);
    for (const name of ['active', 'ingest'])
      expect({ name, left: existsSync(`${space.store}/${name}`) ? readdirSync(`${space.store}/${name}`) : [] }).toEqual(
        {
          name,
          left: [],
        },
      );
    expect((await space.tsbuild(['images'])).stdout).not.toContain('broken');
  }

  it.each([
    ['Ctrl-C', 'SIGINT', 130, -1],
    ['SIGTERM', 'SIGTERM', 143, 1],
  ] as const)(
    'by %s ends with its status and leaves no process and no mount',
    async (_name, signal, status, target) => {
      const marker = newMarker();
      const space = project(marker);
      const { child, ended, stderr } = await startStep(space, marker);
      const sent = Date.now();
      process.kill(target * (child.pid ?? 0), signal); // a negative id is the process group, as a terminal does it
      expect(await ended, stderr()).toBe(status);
      expect(Date.now() - sent).toBeLessThan(30_000);
      expect(stderr()).toMatch(/E_CANCELLED|[Cc]ancelled|[Ii]nterrupted/);
      await expectNothingLeft(space, marker);
    },
  );

  it('by SIGTERM ends while a file of a terabyte that a step left is hashed', async () => {
    const space = workspace(person, {
      containerfile: `FROM ${BASE}\nRUN truncate -s 1099511627776 /big; echo ready\n`,
    });
    const child = person.start(['--root', space.store, 'build', '-t', 'broken', space.context]);
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdout?.resume();
    const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
    expect(await until(() => /\| ready/.test(stderr), 20_000), stderr).toBe(true);
    await sleep(1000);
    child.kill('SIGTERM');
    expect(await ended, stderr).toBe(143);
    await expectNothingLeft(space, newMarker());
  });

  it('by SIGKILL leaves no process after a second (8.5 #130)', async () => {
    const marker = newMarker();
    const space = project(marker);
    const { child, ended } = await startStep(space, marker);
    child.kill('SIGKILL');
    await until(() => processesWith(marker).length === 0, 1000);
    expect(processesWith(marker)).toEqual([]);
    await ended;
    await expectNothingLeft(space, marker);
  });
});
