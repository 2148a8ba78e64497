import { existsSync } from 'node:fs';
import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { requires } from '../support/requires.ts';
import { type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');
const hasCapabilities = requires('the programs setcap and getcap', existsSync('/usr/sbin/setcap'));

/** What a last step that looks at the image prints, line by line. */
async function seen(space: Workspace, args: readonly string[] = []): Promise<readonly string[]> {
  const { stderr } = await space.build(['--no-cache', ...args]);
  return stderr.split('\n').flatMap((line) => /^#\d+ \| (.*)$/.exec(line)?.[1] ?? []);
}

describe.runIf(hasBase()).each(people())('COPY and ADD of $name', (person) => {
  const project = (text: string, files: Readonly<Record<string, string>> = { a: 'A', 'd/b': 'B' }): Workspace =>
    workspace(person, { containerfile: `FROM ${BASE}\n${text}\n`, files });

  it('--chown takes a name from a passwd that an earlier RUN wrote (8.3 #74)', async () => {
    const space = project(
      'RUN echo "late:x:61:62::/:/bin/sh" >> /etc/passwd && echo "crew:x:63:" >> /etc/group\nCOPY --chown=late a /a\nCOPY --chown=late:crew a /b\nRUN stat -c "%u:%g" /a /b',
    );
    expect(await seen(space)).toEqual(['61:62', '61:63']);
  });

  it('--chown gives created parents the owner, and leaves existing ones alone (8.3 #75)', async () => {
    const space = project(
      'COPY --chown=5:6 a /new/deep/a\nCOPY --chown=5:6 a /etc/a\nRUN stat -c "%u:%g" /new /new/deep /etc',
    );
    expect(await seen(space)).toEqual(['5:6', '5:6', '0:0']);
  });

  it('COPY . . goes to WORKDIR, the Containerfile with it (8.3 #66)', async () => {
    const space = project('WORKDIR /srv/app\nCOPY . .\nRUN find /srv/app -type f | sort');
    expect(await seen(space)).toEqual(['/srv/app/Containerfile', '/srv/app/a', '/srv/app/d/b']);
  });

  it('--from takes a stage by name and by number, and an image; owners stay, the destination is root (8.3 #78, 8.3 #79)', async () => {
    const text = [
      'RUN mkdir -p /o/sub /there/sub && echo x > /o/f && chown 100:200 /o && chown 101:201 /o/sub && chown 102:202 /o/f && chown 500:600 /there',
      `FROM ${BASE} AS two`,
      'RUN mkdir /there && chown 500:600 /there',
      'COPY --from=0 /o /new',
      'COPY --from=0 /o/. /there',
      `FROM ${BASE}`,
      'COPY --from=two / /',
      `COPY --from=${BASE} /bin/busybox /box`,
      'RUN stat -c "%u:%g" /new /new/sub /new/f /there /there/sub; test -x /box && echo image',
    ];
    const owners = ['0:0', '101:201', '102:202', '500:600', '101:201'];
    expect(await seen(project(text.join('\n')), ['--tls-verify=false'])).toEqual([...owners, 'image']);
  });

  it('follows a link in the destination, inside of the image (8.3 #67)', async () => {
    const space = project(
      'RUN mkdir -p /real /abs && ln -s real /l && ln -s /abs /m && ln -s ../../../etc /up\nCOPY a /l/\nCOPY a /m/x\nCOPY a /up/out\nRUN ls /real/* /abs/* /etc/out && for l in /l /m /up; do readlink $l; done',
    );
    expect(await seen(space)).toEqual(['/abs/x', '/etc/out', '/real/a', 'real', '/abs', '../../../etc']);
  });

  it('--link does not follow a link in the destination: a directory takes its place (8.3 #82)', async () => {
    const space = project(
      'RUN mkdir /real && ln -s real /l\nCOPY --link a /l/\nRUN (readlink /l || echo directory); ls /l /real',
    );
    expect(await seen(space)).toEqual(['directory', '/l:', 'a', '', '/real:']);
  });

  it('--link is cached whatever lies below, and gives the same layer over another base (8.3 #82)', async () => {
    const space = project(
      'RUN echo one\nCOPY --link --chmod=640 --chown=5:6 d /srv/d/\nRUN stat -c "%a %u:%g" /srv/d/b',
    );
    expect(await seen(space)).toEqual(['one', '640 5:6']);
    space.write({ Containerfile: `FROM ${BASE}\nRUN echo two\nCOPY --link --chmod=640 --chown=5:6 d /srv/d/\n` });
    const { stderr } = await space.build();
    expect(stderr).toMatch(/COPY --link.*\n#\d+ cached/);
  });

  it('keeps odd names (8.3 #89)', async () => {
    const names = ['new\nline', 'a:b', 'späße 日本', ' blank', '*', '-rf'];
    const space = project(
      'COPY odd /odd/\nRUN find /odd -type f | wc -l; cat /odd/*',
      Object.fromEntries(names.map((name) => [`odd/${name}`, 'x'])),
    );
    expect(await seen(space)).toEqual(['7', 'xxxxxx']);
  });

  it('copies a socket as nothing, a fifo as a fifo and an empty directory (8.3 #90)', async () => {
    const space = project('COPY d /d/\nRUN ls -F /d');
    await person.run(['mkfifo', `${space.context}/d/pipe`]);
    await person.run(['mkdir', `${space.context}/d/empty`]);
    expect(await seen(space)).toEqual(['b', 'empty/', 'pipe|']);
  });

  it('unpacks an archive over what is there, with its owners and modes, whatever --chmod says (8.3 #83)', async () => {
    const space = project(
      'RUN mkdir -p /t/sub && echo old > /t/sub/f\nADD --chmod=777 x /t\nRUN stat -c "%a %u:%g %n" /t/sub/f /t/sub; cat /t/sub/f',
    );
    await person.run(['mkdir', `${space.context}/sub`]);
    person.write(`${space.context}/sub`, { f: 'new' });
    await person.run(['chmod', '604', `${space.context}/sub/f`]);
    await person.run(['chmod', '711', `${space.context}/sub`]);
    await person.run(['tar', '-czf', `${space.context}/x`, '--owner=5', '--group=6', '-C', space.context, 'sub']);
    expect(await seen(space)).toEqual(['604 5:6 /t/sub/f', '711 5:6 /t/sub', 'new']);
  });

  it.runIf(person.isRoot && hasCapabilities)('keeps file capabilities through a stage (8.3 #92)', async () => {
    const space = project(`COPY tool /tool\nFROM ${BASE}\nCOPY --from=0 /tool /tool\nRUN true`, { tool: 'x' });
    await person.run(['setcap', 'cap_net_raw+ep', `${space.context}/tool`]);
    const tar = `${space.store}/out.tar`;
    await space.build(['-o', `type=tar,dest=${tar}`]);
    const { stdout } = await person.run(['tar', '--xattrs', '--xattrs-include=*', '-tvvf', tar, 'tool']);
    expect(stdout).toContain('security.capability');
  });
});
