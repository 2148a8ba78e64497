import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');

async function fileOf(space: Workspace, path: string): Promise<string> {
  const tar = `${space.store}/out.tar`;
  await space.build(['-o', `type=tar,dest=${tar}`]);
  return (await space.person.run(['tar', '-xOf', tar, path])).stdout;
}

describe.runIf(hasBase()).each(people())('a step that $name runs', (person) => {
  const project = (text: string): Workspace => workspace(person, { containerfile: `FROM ${BASE}\n${text}\n` });

  it('has only lo with --network none, and the host otherwise (8.4 #115)', async () => {
    const space = project('RUN ls /sys/class/net > /net; wc -l < /proc/net/dev > /devices');
    await space.build(['--network', 'none']);
    const none = workspace(person, {
      containerfile: `FROM ${BASE}\nRUN tail -n +3 /proc/net/dev | cut -d: -f1 > /devices\n`,
    });
    await none.build(['--network', 'none', '-o', `type=tar,dest=${none.store}/none.tar`]);
    const { stdout } = await person.run(['tar', '-xOf', `${none.store}/none.tar`, 'devices']);
    expect(stdout.trim()).toBe('lo');
    const { stderr } = await space.build(['--network', 'host']);
    expect(stderr).toContain('not cached');
  });

  it("finds a resolv.conf and hosts that are not the image's, and leaves nothing of them there (8.4 #99)", async () => {
    const space = project(
      'RUN (echo "nameserver 192.0.2.1" > /etc/resolv.conf; echo "192.0.2.2 x" >> /etc/hosts) 2>/dev/null; grep -q localhost /etc/hosts\nRUN cat /etc/resolv.conf /etc/hosts > /seen',
    );
    expect(await fileOf(space, 'seen')).not.toContain('192.0.2.');
    const { stdout } = await person.run(['tar', '-tf', `${space.store}/out.tar`]);
    expect(stdout).not.toMatch(/etc\/(resolv\.conf|hosts)/);
  });

  it('ends when its command ends, whatever runs in the background (8.4 #94)', async () => {
    const space = project('RUN (sleep 45 &) ; sleep 46 & echo started > /started');
    const start = Date.now();
    expect(await fileOf(space, 'started')).toBe('started\n');
    expect(Date.now() - start).toBeLessThan(40_000);
  });

  it('reads an empty stdin (8.4 #95)', async () => {
    const space = project('RUN cat > /stdin; wc -c < /stdin > /count');
    await space.build([], { input: 'not for the step' });
    expect(await fileOf(space, 'count')).toBe('0\n');
  });

  it('shows its output while it runs', async () => {
    const space = project('RUN echo early; sleep 3; echo late');
    const child = person.start(['--root', space.store, 'build', space.context]);
    const seen: { early?: number; late?: number } = {};
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('| early')) seen.early = Date.now();
      if (text.includes('| late')) seen.late = Date.now();
    });
    child.stdout?.resume();
    await new Promise((resolve) => child.once('close', resolve));
    await sleep(0);
    expect((seen.late ?? 0) - (seen.early ?? Number.NaN)).toBeGreaterThan(2000);
  });

  it('is process 1 of nobody else: own pids, host name, mounts, and a read-only /sys', async () => {
    const space = project(
      'RUN ps | wc -l > /processes; hostname > /name; (touch /sys/x 2>/dev/null && echo writable || echo read-only) > /sys-is; ls /proc/1/root >/dev/null; grep CapBnd /proc/self/status > /caps',
    );
    expect(Number(await fileOf(space, 'processes'))).toBeLessThan(12);
    expect(await fileOf(space, 'sys-is')).toBe('read-only\n');
    expect(await fileOf(space, 'caps')).toContain('00000000a80425fb');
  });
});
