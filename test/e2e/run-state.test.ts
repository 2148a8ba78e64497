import { describe, expect, inject, it } from 'vitest';
import { archivedImage } from '../support/archived-image.ts';
import { hasBase, people } from '../support/person.ts';
import { inspect, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');

describe.runIf(hasBase()).each(people())('What a RUN of $name leaves behind', (person) => {
  // one for all: the base is pulled and unpacked once
  const store = person.directory();
  const project = (text: string): Workspace => workspace(person, { containerfile: `FROM ${BASE}\n${text}\n`, store });

  /** What the last RUN prints. */
  async function printed(text: string, args: readonly string[] = []): Promise<string> {
    const { stderr } = await project(text).build(['--progress', 'plain', ...args]);
    return stderr
      .split('\n')
      .flatMap((line) => /^#\d+ \| (.*)$/.exec(line)?.[1] ?? [])
      .join('\n');
  }

  const lastLayer = async (text: string): Promise<readonly string[]> =>
    (await archivedImage(project(text))).layers.at(-1) ?? [];

  it('is a whiteout where it deletes a file or a directory (8.4 #97)', async () => {
    expect(await lastLayer('RUN mkdir -p /d/e && touch /d/f /d/e/g /top\nRUN rm -r /d/e /top')).toEqual([
      '.wh.top',
      'd/',
      'd/.wh.e',
    ]);
  });

  it('is an opaque directory where it deletes one and makes it anew (8.4 #97)', async () => {
    const text = 'RUN mkdir /d && touch /d/old\nRUN rm -r /d && mkdir /d && touch /d/new\nRUN ls -A /d';
    expect(await printed(text)).toBe('new');
    const [, , layer = []] = (await archivedImage(project(text))).layers;
    expect(layer).toEqual(['d/', 'd/.wh..wh..opq', 'd/new']);
  });

  it("is right where a file, a directory and a link take each other's place (8.4 #97)", async () => {
    const text = [
      'RUN mkdir -p /dir/in /other /target && touch /dir/in/x /file /target/t && ln -s target /link',
      'RUN rm -r /dir /file /link /other && touch /dir && mkdir /file /link && touch /file/y /link/z && ln -s file /other',
      'RUN stat -c "%F %n" /dir /file /file/y /link /link/z /other /target/t; ls -A /link /file',
    ].join('\n');
    expect((await printed(text)).split('\n')).toEqual([
      'regular empty file /dir',
      'directory /file',
      'regular empty file /file/y',
      'directory /link',
      'regular empty file /link/z',
      'symbolic link /other',
      'regular empty file /target/t',
      '/file:',
      'y',
      '',
      '/link:',
      'z',
    ]);
    const [, , layer = []] = (await archivedImage(project(text))).layers;
    expect(layer).toEqual(expect.arrayContaining(['dir', 'file/', 'file/y', 'link/', 'link/z', 'other']));
    expect(layer.some((name) => name.startsWith('target'))).toBe(false);
  });

  it('has all of a directory that is renamed, and no trace of where it was (8.4 #97)', async () => {
    expect(await lastLayer('RUN mkdir -p /a/b && touch /a/b/c /a/d\nRUN mv /a /z')).toEqual([
      '.wh.a',
      'z/',
      'z/b/',
      'z/b/c',
      'z/d',
    ]);
  });

  it('is an empty layer where it changes nothing, with its line in the history (8.4 #98)', async () => {
    const { layers, history } = await archivedImage(project('RUN true\nRUN touch /x && rm /x'));
    expect(layers.slice(1)).toEqual([[], []]);
    const ours = history.filter(({ created_by }) => created_by?.startsWith('RUN ') === true);
    expect(ours.map(({ empty_layer }) => empty_layer ?? false)).toEqual([false, false]);
  });

  it('keeps edits of resolv.conf and hosts to itself (8.4 #99)', async () => {
    const text =
      'RUN echo 192.0.2.1 image >> /etc/hosts; echo nameserver 192.0.2.1 > /etc/resolv.conf; cp /etc/hosts /tmp/h; mv /etc/hosts /etc/moved 2>/dev/null; touch /etc/other\nRUN cat /etc/hosts /etc/resolv.conf';
    expect(await printed(text)).not.toContain('192.0.2.1');
    const [, layer = []] = (await archivedImage(project(text))).layers;
    expect(layer).toEqual(['etc/', 'etc/other', 'tmp/', 'tmp/h']);
  });

  it('has a working minimal /dev, and a way to ping its own lo, but makes no devices (8.4 #101)', async () => {
    const seen = await printed(
      'RUN ls -l /dev/null /dev/zero | cut -c1-10; ls -ld /dev/shm /tmp | cut -c1-10; echo x > /dev/null; cat /proc/self/fd/0; mknod /d b 8 0 2>&1; mknod /n c 1 3 2>&1; mknod /f p && ping -c 1 127.0.0.1 | grep -o "1 packets received"',
      ['--network', 'none'],
    );
    expect(seen).toBe(
      'crw-rw-rw-\ncrw-rw-rw-\ndrwxrwxrwt\ndrwxrwxrwt\nmknod: /d: Operation not permitted\nmknod: /n: Operation not permitted\n1 packets received',
    );
  });

  it('belongs to any id that the build has, and no other (8.4 #102)', async () => {
    const seen = await printed(
      'RUN touch /f && chown 65534:65534 /f && stat -c %u:%g /f; chown 4000000000 /f 2>&1; stat -c %u /f; stat -c %u:%g /etc/passwd',
    );
    const beyond = person.isRoot ? '4000000000' : 'chown: /f: Invalid argument\n65534';
    expect(seen).toBe(`65534:65534\n${beyond}\n0:0`);
    const layers = await printed('RUN touch /f && chown 65534:1000 /f\nRUN stat -c %u:%g /f');
    expect(layers).toBe('65534:1000');
  });

  it('may come from another user by su, and back by a setuid program (8.4 #103)', async () => {
    const seen = await printed(
      [
        'RUN echo "me:x:1000:1000::/home/me:/bin/sh" >> /etc/passwd && echo "me:x:1000:" >> /etc/group && echo "root::0:0::/:/bin/sh" > /tmp/p && grep -v ^root: /etc/passwd >> /tmp/p && cp /tmp/p /etc/passwd && cp /bin/busybox /bin/suid && chmod 4755 /bin/suid && ln -s /bin/suid /tmp/su',
        'RUN su me -c "id -u; touch /tmp/mine; touch /etc/not 2>&1"; stat -c %u:%g /tmp/mine',
        'USER me\nRUN id -u; /tmp/su root -c "id -u"',
      ].join('\n'),
    );
    expect(seen).toBe('1000\ntouch: /etc/not: Permission denied\n1000:1000\n1000\n0');
  });

  it('may have supplementary groups set and dropped, as apt does for _apt (8.4 #104)', async () => {
    const seen = await printed(
      [
        'RUN echo "_apt:x:42:65534::/nonexistent:/bin/false" >> /etc/passwd && echo "extra:x:77:_apt" >> /etc/group',
        'RUN su -s /bin/sh _apt -c "id -u; id -G"; setpriv --help >/dev/null 2>&1; su -s /bin/sh nobody -c "id -G"',
        'USER _apt\nRUN id -G',
      ].join('\n'),
    );
    expect(seen).toBe('42\n65534 77\n65534\n65534 77');
  });

  it('sees HOME of its user, / where passwd has none (8.4 #105)', async () => {
    const seen = await printed(
      [
        'RUN echo "me:x:1000:1000::/home/me:/bin/sh" >> /etc/passwd && echo $HOME',
        'USER me\nRUN echo $HOME',
        'USER 1000\nRUN echo $HOME',
        'USER 4242\nRUN echo $HOME; id -u; id -g',
        'ENV HOME=/set\nRUN echo $HOME',
      ].join('\n'),
    );
    expect(seen).toBe('/root\n/home/me\n/home/me\n/\n4242\n0\n/set');
  });

  it('finds the WORKDIR made by its USER, an existing one untouched (8.4 #106)', async () => {
    const seen = await printed(
      'RUN mkdir /there\nUSER 1000:1001\nWORKDIR /home/app/src\nWORKDIR /there\nRUN stat -c "%u:%g %n" /home /home/app /home/app/src /there',
    );
    expect(seen).toBe('1000:1001 /home\n1000:1001 /home/app\n1000:1001 /home/app/src\n0:0 /there');
  });

  it('finds programs in an image from scratch, which sets no PATH (8.4 #107)', async () => {
    const space = workspace(person, {
      containerfile: `FROM scratch\nCOPY --from=${BASE} /bin /bin\nRUN echo $PATH; busybox true && echo found\n`,
      store,
    });
    const { stderr } = await space.build(['--progress', 'plain', '-t', 'image0']);
    expect(stderr).toContain('| /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n');
    expect(stderr).toContain('| found\n');
  });

  it('runs in the SHELL of the stage, with its options (8.4 #108)', async () => {
    const space = project('SHELL ["/bin/sh", "-euo", "pipefail", "-c"]\nRUN false | true; echo not here');
    const { status, stderr } = await space.tryBuild(['--progress', 'plain']);
    expect(status).toBe(5);
    expect(stderr).not.toContain('| not here');
    expect(await printed('SHELL ["busybox", "echo", "said:"]\nRUN a  b')).toBe('said: a  b');
  });

  it('has lo and nothing else with --network=none, and lo is up (8.4 #115)', async () => {
    const seen = await printed(
      // the listener keeps its stdin: at the end of it it would hang up, perhaps before the text came
      'RUN --network=none ls /sys/class/net; cat /sys/class/net/lo/flags; sleep 9 | nc -l -p 99 & sleep 1; for i in 1 2 3 4 5; do echo through | nc 127.0.0.1 99 && break; sleep 1; done',
    );
    expect(seen).toBe('lo\n0x9\nthrough');
    expect(await printed('RUN --network=host ls /sys/class/net')).toContain('lo');
  });

  it('may open as many files as whoever builds (8.4 #116)', async () => {
    const space = project('RUN ulimit -n; ulimit -Hn');
    const program = [process.execPath, inject('installed'), '--root', space.store, 'build', '--progress', 'plain'];
    const { stderr } = await person.run(['sh', '-c', 'ulimit -n 2048; "$@"', 'sh', ...program, space.context]);
    expect(stderr).toMatch(/\| 2048\n.*\| 2048\n/);
    expect(Number((await printed('RUN ulimit -n')).trim())).toBeLessThanOrEqual(1_048_576);
  });

  it("has umask 0022 and UTC, whatever the caller's are (8.4 #117)", async () => {
    const space = project('RUN umask; date +%Z; echo "[$TZ]"; touch /f; mkdir /d; stat -c %a /f /d');
    const program = [process.execPath, inject('installed'), '--root', space.store, 'build', '--progress', 'plain'];
    const command = ['sh', '-c', 'umask 077; "$@"', 'sh', ...program, space.context];
    const { stderr } = await person.run(command, { env: { TZ: 'Asia/Tokyo' } });
    const lines = stderr.split('\n').flatMap((line) => /^#\d+ \| (.*)$/.exec(line)?.[1] ?? []);
    expect(lines).toEqual(['0022', 'UTC', '[]', '644', '755']);
  });

  it('has no terminal (8.4 #96)', async () => {
    expect(await printed('RUN tty; test -t 1 || echo pipe; (echo > /dev/tty) 2>&1 | grep -o "No such device"')).toBe(
      'not a tty\npipe\nNo such device',
    );
  });

  it('sees and adds to more layers than one page of mount options holds (8.4 #118)', async () => {
    const copies = Array.from({ length: 130 }, (_, index) => `COPY f /f${index}`);
    const space = workspace(person, {
      containerfile: `FROM ${BASE}\n${copies.join('\n')}\nRUN ls / | grep -c "^f[0-9]" && rm /f7\nRUN ls / | grep -c "^f[0-9]"\n`,
      files: { f: '' },
      store,
    });
    const { stderr } = await space.build(['--progress', 'plain', '-t', 'image0']);
    expect(stderr).toMatch(/\| 130\n/);
    expect(stderr).toMatch(/\| 129\n/);
    expect((await inspect(space, 'image0')).RootFS.Layers).toHaveLength(133);
  });
});
