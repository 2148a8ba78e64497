import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { inspect, succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');

/** The names in the last layer of the image, and what is in its root. */
async function exported(space: Workspace): Promise<string[]> {
  const tar = `${space.store}/out.tar`;
  await space.build(['-o', `type=tar,dest=${tar}`]);
  const { stdout } = succeeded(await space.person.run(['tar', '-tf', tar]));
  return stdout.split('\n').filter((name) => name !== '');
}

async function fileOf(space: Workspace, path: string): Promise<string> {
  const tar = `${space.store}/out.tar`;
  await space.build(['-o', `type=tar,dest=${tar}`]);
  return succeeded(await space.person.run(['tar', '-xOf', tar, path])).stdout;
}

describe.runIf(hasBase()).each(people())('RUN --mount by $name', (person) => {
  const project = (text: string, files: Readonly<Record<string, string>> = {}): Workspace =>
    workspace(person, { containerfile: `FROM ${BASE} AS base\n${text}\n`, files });

  it('shows the context read-only, without what is ignored, as files of root', async () => {
    const space = project('RUN --mount=target=/ctx find /ctx -type f | xargs ls -ln > /seen; touch /ctx/x 2>>/seen', {
      'a/b': 'text',
      'a/secret': 'no',
      '.dockerignore': '**/secret\nContainerfile\n.dockerignore',
    });
    expect((await space.tryBuild()).stderr).toContain('RUN failed');
    space.write({
      Containerfile: `FROM ${BASE}\nRUN --mount=target=/ctx ls -lnR /ctx > /seen; (touch /ctx/x || true) 2>> /seen\n`,
    });
    const seen = await fileOf(space, 'seen');
    expect(seen).toMatch(/-rw-r--r-- +1 0 +0 +4 .* b/);
    expect(seen).not.toContain('secret');
    expect(seen).toContain('Read-only file system');
  });

  it('runs again when a mounted file changes, and only then', async () => {
    const space = project('RUN --mount=source=in,target=/in cat /in > /out', { in: 'one', other: '1' });
    await space.build(['-t', 'first']);
    space.write({ other: '2' });
    expect((await space.build()).stderr).toContain('2 cached');
    space.write({ in: 'two' });
    expect(await fileOf(space, 'out')).toBe('two');
  });

  it('shows a directory of a stage, through the links of that stage (8.4 #114)', async () => {
    const space = project(
      `RUN mkdir -p /q/sub && echo z > /q/sub/z && ln -s /q /link\nFROM ${BASE}\nWORKDIR /w\nRUN --mount=from=base,source=/link/sub,target=here cat here/z > /out; ls -d /w/here >> /out`,
    );
    expect(await fileOf(space, 'out')).toBe('z\n/w/here\n');
    expect(await exported(space)).not.toContain('w/here/');
  });

  it('shows single files, of a stage given by number, and an image', async () => {
    const space = project(
      `RUN echo z > /z\nFROM ${BASE}\nRUN --mount=from=0,source=/z,target=/etc/z --mount=from=${BASE},target=/image cat /etc/z > /out; ls -d /image/bin >> /out`,
    );
    expect(await fileOf(space, 'out')).toBe('z\n/image/bin\n');
  });

  it('discards what is written to a bind (8.4 #113)', async () => {
    const space = project(
      'RUN --mount=target=/ctx,rw echo more >> /ctx/f && rm /ctx/g && mkdir /ctx/d && cat /ctx/f > /out\nRUN --mount=target=/ctx ls /ctx >> /out; cat /ctx/f >> /out',
      { f: 'text\n', g: '' },
    );
    expect(await fileOf(space, 'out')).toBe('text\nmore\nContainerfile\nf\ng\ntext\n');
    expect((await exported(space)).some((name) => name.startsWith('ctx'))).toBe(false);
  });

  it('leaves nothing in the layer of what was made to mount on (8.4 #100)', async () => {
    const space = project(
      [
        'RUN mkdir -p /var/spool && touch -d @1000000000 /var/spool /var',
        'RUN --mount=source=f,target=/var/spool/mail/f --mount=type=cache,target=/new/deep/cache --mount=type=tmpfs,target=/etc/t --mount=type=tmpfs,target=/tmp true',
        'RUN stat -c "%n %Y" /var/spool /var > /times; ls / /etc >> /times',
      ].join('\n'),
      { f: '' },
    );
    const seen = await fileOf(space, 'times');
    expect(seen).toContain('/var/spool 1000000000\n/var 1000000000\n');
    expect(seen).not.toMatch(/^(new|t)$/m);
    await space.build(['-t', 'image0', '-o', `type=oci,dest=${space.store}/oci.tar`]);
    const { RootFS } = await inspect(space, 'image0');
    expect(RootFS.Layers).toHaveLength(4);
    expect(await exported(space)).not.toContain('new/');
  });

  it('keeps what the step writes beside a mount, and a WORKDIR that is mounted over', async () => {
    const space = project(
      'WORKDIR /app/src\nRUN --mount=target=/app/src --mount=type=tmpfs,target=/a/b/c echo x > /a/b/kept\nRUN ls -la /app/src /a/b > /seen',
    );
    const names = await exported(space);
    expect(names).toEqual(expect.arrayContaining(['app/src/', 'a/b/kept']));
    expect(names).not.toContain('a/b/c/');
  });

  it('nests targets, whatever their order', async () => {
    const space = project(
      'RUN --mount=type=tmpfs,target=/m/in/ner --mount=source=d,target=/m/in,rw --mount=type=tmpfs,target=/m ls /m/in > /out; grep -c " /m" /proc/mounts >> /out',
      { 'd/file': '' },
    );
    expect(await fileOf(space, 'out')).toBe('file\nner\n3\n');
  });

  it('is not led out of the image by a link at the target', async () => {
    const space = project(
      'RUN ln -s ../../../../../../tsbuild-outside /etc/link && ln -s /proc /p\nRUN --mount=type=tmpfs,target=/etc/link/x grep -o "/tsbuild-outside/x" /proc/mounts > /out; ls -d /tsbuild-outside',
    );
    expect(await fileOf(space, 'out')).toBe('/tsbuild-outside/x\n');
    space.write({ Containerfile: `FROM ${BASE}\nRUN ln -s /proc /p\nRUN --mount=type=tmpfs,target=/p/1 true\n` });
    const { status, stderr } = await space.tryBuild();
    expect(status).toBe(6);
    expect(stderr).toContain('Cannot mount at "/p/1": a link in the image leads to "/proc/1"');
    expect(stderr).toContain('--> Containerfile:3:13');
  });

  it.each([
    ['--mount=target=/m,source=nope', 4, 'no such file or directory in the context', 'Containerfile:2:30'],
    [
      `--mount=target=/m,from=${BASE},source=/nope`,
      4,
      'Cannot mount "/nope": there is no such path in image',
      'Containerfile:2:13',
    ],
    [
      '--mount=target=/bin/busybox',
      6,
      'there is a file, and what is to be mounted is a directory',
      'Containerfile:2:13',
    ],
    [
      '--mount=source=d/f,target=/etc',
      6,
      'there is a directory, and what is to be mounted is a file',
      'Containerfile:2:13',
    ],
    [
      '--mount=source=d,target=/m --mount=type=tmpfs,target=/m/x',
      6,
      'something read-only that does not have it',
      'Containerfile:2:40',
    ],
  ])('says what is wrong with %s', async (mount, status, message, place) => {
    const outcome = await project(`RUN ${mount} true`, { 'd/f': '' }).tryBuild();
    expect(outcome).toMatchObject({ status });
    expect(outcome.stderr).toContain(message);
    expect(outcome.stderr).toContain(place);
  });

  it('bounds a tmpfs by its size, also over /dev/shm (8.4 #112)', async () => {
    const space = project(
      'RUN --mount=type=tmpfs,target=/t,size=2m --mount=type=tmpfs,target=/dev/shm,size=128m (head -c 3000000 /dev/zero > /t/x || echo full) > /out 2>/dev/null; df -k /t /dev/shm | tail -2 >> /out; ls -ld /t >> /out',
    );
    const seen = await fileOf(space, 'out');
    expect(seen).toMatch(/^full\n/);
    expect(seen).toMatch(/ 2048 +2048 .*\/t\n/);
    expect(seen).toMatch(/ 131072 .*\/dev\/shm\n/);
    expect(seen).toContain('drwxrwxrwt');
  });

  it('keeps a cache from build to build, out of the layer and out of the key', async () => {
    const text =
      'RUN --mount=type=cache,target=/c,uid=1000,gid=1001,mode=0750 echo x >> /c/log; cat /c/log > /out; ls -lnd /c >> /out';
    const space = project(text);
    expect(await fileOf(space, 'out')).toMatch(/^x\ndrwxr-x--- +2 1000 +1001/);
    expect((await space.build()).stderr).toContain('1 cached');
    await space.build(['--no-cache']);
    expect(await fileOf(space, 'out')).toMatch(/^x\nx\n/);
    expect(await exported(space)).not.toContain('c/');
  });

  it('lets a user write to a cache of his, and gives one a content to begin with', async () => {
    const space = project(
      `RUN mkdir /q && echo z > /q/z && ln -s z /q/link && chown 7:8 /q/z\nFROM ${BASE}\nUSER 1000:1000\nRUN --mount=type=cache,target=/m,uid=1000 --mount=type=cache,target=/s,from=base,source=/q,mode=0777 touch /m/mine /s/new && ls -ln /s`,
    );
    const { stderr } = await space.build(['--progress', 'plain']);
    expect(stderr).toMatch(/rwxrwxrwx +1 0 +0 .* link -> z/);
    expect(stderr).toMatch(/rw-r--r-- +1 1000 +1000 .* new/);
    expect(stderr).toMatch(/rw-r--r-- +1 7 +8 .* z/);
  });

  it('resolves the source of a cache inside the cache', async () => {
    const space = project(
      [
        'RUN --mount=type=cache,id=e,target=/c mkdir /c/sel && echo benign > /c/sel/f',
        'RUN --mount=type=cache,id=e,source=sel,target=/v cat /v/f',
        'RUN --mount=type=cache,id=e,target=/c rm -r /c/sel && ln -s /etc /c/sel',
        'RUN --mount=type=cache,id=e,source=sel,target=/v cat /v/passwd',
      ].join('\n'),
    );
    const { status, stderr } = await space.tryBuild();
    expect(status).toBe(4);
    expect(stderr).toContain('| benign');
    expect(stderr).toContain('Cannot mount "/sel": there is no such path in the cache "e"');
  });

  it('prunes caches with --all, but none that a step uses', async () => {
    const space = project('RUN --mount=type=cache,target=/c echo x > /c/x; sleep 4; cat /c/x');
    const build = space.build(['--no-cache']);
    await sleep(2500);
    await space.tsbuild(['prune', '-af']);
    await build;
    const again = (script: string) => {
      space.write({ Containerfile: `FROM ${BASE}\nRUN --mount=type=cache,target=/c ${script}\n` });
      return space.build(['--no-cache', '--progress', 'plain']);
    };
    expect((await again('ls /c; echo 1')).stderr).toContain('| x\n');
    succeeded(await space.tsbuild(['prune', '-f']));
    expect((await again('ls /c; echo 2')).stderr).toContain('| x\n');
    expect(succeeded(await space.tsbuild(['prune', '-af'])).stdout).toMatch(/[1-9]\d* removed/);
    expect((await again('ls /c; echo 3')).stderr).not.toContain('| x\n');
  });
});

describe.runIf(hasBase()).each(people())('A cache that several steps of $name use', (person) => {
  /** Two stages that both enter the cache and look around. */
  const parallel = (sharing: string): Workspace => {
    const step = (name: string) =>
      `FROM ${BASE} AS ${name}\nRUN --mount=type=cache,target=/c,sharing=${sharing} touch /c/${name}; sleep 2; ls /c > /${name}; sleep 1; rm /c/${name}`;
    return workspace(person, {
      containerfile: `${step('a')}\n${step('b')}\nFROM ${BASE}\nCOPY --from=a /a /\nCOPY --from=b /b /\nRUN cat /a /b > /seen\n`,
    });
  };

  it.each([
    ['shared', ['a', 'b', 'a', 'b']],
    ['locked', ['a', 'b']],
    ['private', ['a', 'b']],
  ])('is %s between two stages that run at once (8.4 #109)', async (sharing, seen) => {
    expect((await fileOf(parallel(sharing), 'seen')).trim().split('\n')).toEqual(seen);
  });

  it('makes a locked step wait for another build, and says so; a killed build holds nothing (8.4 #109)', async () => {
    const text = (script: string) => `FROM ${BASE}\nRUN --mount=type=cache,target=/c,sharing=locked ${script}\n`;
    const first = workspace(person, { containerfile: text('echo 1 > /c/x; sleep 3; rm /c/x') });
    const second = workspace(person, { containerfile: text('ls /c > /seen'), store: first.store });
    await second.build(); // the base is there, and the cache
    const running = first.build();
    await sleep(1500);
    const { stderr } = await second.build(['--no-cache', '-o', `type=tar,dest=${second.store}/2.tar`]);
    expect(stderr).toContain('Waiting for the cache "/c": another step uses it');
    await running;
    expect((await person.run(['tar', '-xOf', `${second.store}/2.tar`, 'seen'])).stdout).toBe('');

    const killed = person.start(['--root', first.store, 'build', '--no-cache', first.context]);
    await sleep(2000);
    killed.kill('SIGKILL');
    await sleep(300);
    const start = Date.now();
    expect((await second.build(['--no-cache'])).stderr).not.toContain('Waiting');
    expect(Date.now() - start).toBeLessThan(40_000);
  });
});
