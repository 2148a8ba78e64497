import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, it } from 'vitest';
import type { ContainerSummary } from '../../src/index.ts';
import { hasBase, people } from '../support/person.ts';
import { succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');

const SERVER = 'mkdir -p /www && echo a page > /www/index.html && echo serving && exec busybox httpd -f -p 80 -h /www';

async function listed({ tsbuild }: Workspace): Promise<readonly ContainerSummary[]> {
  return JSON.parse(succeeded(await tsbuild(['ps', '-a', '--json'])).stdout);
}

/** What containers have in the state directory; the tests are root or the very user. */
const leftIn = ({ store }: Workspace): readonly string[] =>
  ['containers', 'active'].flatMap((name) =>
    readdirSync(join(store, name)).filter((entry) => entry !== 'names.lock' && entry !== 'names'),
  );

const isRunning = (words: string): boolean => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).includes(words);

function monitorOf({ store }: Workspace): number {
  const [id = ''] = readdirSync(join(store, 'containers')).filter((name) => /^[0-9a-f]{64}$/.test(name));
  return JSON.parse(readFileSync(join(store, 'containers', id, 'container.json'), 'utf8')).monitor.pid;
}

describe.runIf(hasBase()).each(people())('an image that $name runs', (person) => {
  it('answers on a published port, in the background, until it is stopped and removed', async () => {
    const space = workspace(person);
    const { tsbuild } = space;
    const run = ['run', '-d', '--name', 'web', '-p', '127.0.0.1::80', BASE, 'sh', '-c', SERVER];
    const id = succeeded(await tsbuild(run)).stdout.trim();
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    const [container] = await listed(space);
    const port = container?.ports[0]?.hostPort ?? 0;
    expect(container).toMatchObject({ id, name: 'web', status: 'running' });
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('a page\n');
    const pages = await Promise.all(Array.from({ length: 20 }, () => fetch(`http://127.0.0.1:${port}/`)));
    expect(pages.every(({ ok }) => ok)).toBe(true);

    const taken = await tsbuild(['run', '--rm', '-p', `127.0.0.1:${port}:80`, BASE, 'true']);
    expect(taken).toMatchObject({ status: 125 });
    expect(taken.stderr).toContain(`port ${port} of this machine is taken`);
    const sameName = await tsbuild(['run', '--rm', '--name', 'web', BASE, 'true']);
    expect(sameName).toMatchObject({ status: 125 });
    expect(sameName.stderr).toContain('The name "web" is taken');

    const inside = await tsbuild(['exec', '-e', 'A=b', 'web', 'sh', '-c', 'echo $A; cat /www/index.html; exit 4']);
    expect(inside).toMatchObject({ status: 4, stdout: 'b\na page\n' });
    expect((await tsbuild(['rm', 'web'])).stderr).toContain('it is running');
    succeeded(await tsbuild(['stop', 'web']));
    expect((await tsbuild(['logs', 'web'])).stdout).toBe('serving\n');
    expect(await listed(space)).toMatchObject([{ status: 'exited', exitCode: 143 }]);
    succeeded(await tsbuild(['rm', id.slice(0, 12)]));
    expect(leftIn(space)).toEqual([]);
    expect(isRunning(id)).toBe(false);
    expect(await listed(space)).toEqual([]);
    const server = createServer();
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
    server.close();
  });

  it('does not outlive its monitor, and ps says so', async () => {
    const space = workspace(person);
    const { tsbuild } = space;
    // a time that no other process sleeps
    const seconds = `7${person.isRoot ? 1 : 2}7.${process.pid}`;
    const script = `sleep ${seconds} & trap '' TERM HUP; sleep ${seconds}`;
    succeeded(await tsbuild(['run', '-d', '--name', 'web', BASE, 'sh', '-c', script]));
    expect(isRunning(`sleep ${seconds}`)).toBe(true);
    process.kill(monitorOf(space), 'SIGKILL');
    for (let i = 0; isRunning(`sleep ${seconds}`) && i < 100; i++) await sleep(50);
    expect(isRunning(`sleep ${seconds}`)).toBe(false);
    expect(await listed(space)).toMatchObject([{ status: 'lost' }]);
    expect(await tsbuild(['exec', 'web', 'true'])).toMatchObject({ status: 125 });
    const removals = await Promise.all([tsbuild(['rm', 'web']), tsbuild(['rm', 'web'])]);
    expect(removals.map(({ status }) => status).sort()).toEqual([0, 9]);
    expect(leftIn(space)).toEqual([]);

    succeeded(await tsbuild(['run', '-d', '--rm', BASE, 'sleep', seconds]));
    process.kill(monitorOf(space), 'SIGKILL');
    for (let i = 0; isRunning(`sleep ${seconds}`) && i < 100; i++) await sleep(50);
    expect(await listed(space)).toEqual([]);
  });

  it('has its status, its input, its user, its directory and its volumes', async () => {
    const space = workspace(person, {
      containerfile: `FROM ${BASE}\nUSER 65534:65534\nWORKDIR /work/dir\nVOLUME /data\nENV A=image\nENTRYPOINT echo entry $A $(id -u) $(pwd); ls -d /data; cat; cat /mine/file; touch /mine/x; exit 7`,
    });
    await space.build(['-t', 'image0']);
    space.write({ 'real/file': 'of the host\n' });
    await person.run(['ln', '-s', 'real', join(space.context, 'link')]);
    const volume = `${join(space.context, 'link')}:/mine:ro`;
    const run = ['run', '--rm', '-i', '-v', volume, '-e', 'A=ours', 'image0'];
    const ran = await space.tsbuild(run, { input: 'typed\n' });
    expect(ran).toMatchObject({ status: 7, stdout: 'entry ours 65534 /work/dir\n/data\ntyped\nof the host\n' });
    expect(ran.stderr).toContain('Read-only file system');
    expect(leftIn(space)).toEqual([]);
  });

  it('is not started where that cannot be, with the status that a shell would give', async () => {
    const space = workspace(person, { containerfile: 'FROM scratch\nCOPY Containerfile /\n' });
    const { tsbuild } = space;
    await space.build(['-t', 'empty']);
    const cases: readonly (readonly [number, string, readonly string[]])[] = [
      [127, 'not found', ['--rm', BASE, 'nothing']],
      [126, 'permission denied', ['--rm', BASE, '/etc/passwd']],
      [125, 'neither CMD nor ENTRYPOINT', ['--rm', 'empty']],
      [125, 'no user "nobody-here"', ['--rm', '-u', 'nobody-here', BASE, 'true']],
      [125, 'Unknown option', ['--nothing', BASE]],
      [137, '', ['--rm', BASE, 'sh', '-c', 'kill -9 $$']],
    ];
    for (const [status, text, args] of cases) {
      const outcome = await tsbuild(['run', ...args]);
      expect(outcome, args.join(' ')).toMatchObject({ status });
      expect(outcome.stderr).toContain(text);
    }
    expect(leftIn(space)).toEqual([]);
  });

  it('has a terminal of its own, and so has what is run in it', async () => {
    const space = workspace(person);
    const program = `${process.execPath} ${inject('installed')} --root ${space.store}`;
    // an input that never ends: script would end with it
    const onTerminal = 'mkfifo "$2"; exec script -qec "$1" /dev/null <> "$2"';
    const typed = (line: string, pipe: string) =>
      person.run(['sh', '-c', onTerminal, 'sh', `${program} ${line}`, join(space.context, pipe)]);
    const ran = await typed(`run --rm -it ${BASE} sh -c "tty; stty size; echo x > /dev/tty; exit 3"`, 'one');
    expect(ran.stdout.replaceAll('\r', '')).toContain('/dev/pts/0\n24 80\nx\n');
    expect(ran.status).toBe(3);
    succeeded(await space.tsbuild(['run', '-d', '--name', 'web', BASE, 'sleep', '600']));
    const inside = await typed('exec -it -u nobody web sh -c "tty; id -un"', 'two');
    expect(inside.stdout.replaceAll('\r', '')).toContain('/dev/pts/0\nnobody\n');
    expect(await space.tsbuild(['run', '-it', BASE, 'sh'])).toMatchObject({ status: 125 });
    succeeded(await space.tsbuild(['rm', '-f', 'web']));
    expect(leftIn(space)).toEqual([]);
  });

  it('hears the signals of run, and is ended by the first one before it has begun', async () => {
    const space = workspace(person);
    succeeded(await space.tsbuild(['run', '--rm', BASE, 'true']));
    const script = "trap 'echo heard; exit 9' TERM; echo ready; while :; do sleep 0.1; done";
    const child = person.start(['--root', space.store, 'run', '--rm', BASE, 'sh', '-c', script]);
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (text.includes('ready')) child.kill('SIGTERM');
    });
    const status = await new Promise((resolve) => child.once('close', resolve));
    expect({ status, output }).toEqual({ status: 9, output: 'ready\nheard\n' });
    for (const wait of [100, 300, 500]) {
      const early = person.start(['--root', space.store, 'run', '--rm', BASE, 'sleep', '600']);
      await sleep(wait);
      early.kill('SIGTERM');
      const ended = await new Promise((resolve) => early.once('close', (code, signal) => resolve(code ?? signal)));
      expect([143, 'SIGTERM']).toContain(ended);
    }
    expect(leftIn(space)).toEqual([]);
  });
});
