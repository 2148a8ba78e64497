import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { inspect, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');
const SHA256 = /^sha256:[0-9a-f]{64}\n$/;
const CONTAINERFILE = `ARG GREETING=hello
FROM ${BASE} AS tools
RUN echo '#!/bin/sh' > /tool && echo 'echo tool' >> /tool && chmod 755 /tool

FROM ${BASE} AS app
ARG GREETING
ENV NAME=world PLACE=/srv/app
WORKDIR $PLACE
COPY first first
RUN echo "$GREETING $NAME $(cat first)" > made && pwd >> made
COPY second second
COPY --from=tools /tool /bin/tool
RUN tool >> made
USER nobody
RUN id -u > /tmp/user
CMD ["cat", "/srv/app/made"]

FROM app AS other
RUN echo other > /tmp/other
`;
const FILES = { first: '1', second: '2' };

const last = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';

/** The text of a file in what the last build with `args` makes. */
async function fileOf(space: Workspace, path: string, args: readonly string[] = []): Promise<string> {
  const tar = `${space.store}/out.tar`;
  await space.build([...args, '-o', `type=tar,dest=${tar}`]);
  const { stdout } = await space.person.run(['tar', '-xOf', tar, path]);
  return stdout;
}

describe.runIf(hasBase()).each(people())('a build by $name', (person) => {
  const project = (): Workspace => workspace(person, { containerfile: CONTAINERFILE, files: FILES });

  it('follows the instructions, and executes nothing the second time', async () => {
    const space = project();
    const first = await space.build(['-t', 'image0', '--target', 'app']);
    expect(first.stdout).toMatch(SHA256);
    expect(last(first.stderr)).toMatch(/^image0: 7 steps, none cached, /);
    const second = await space.build(['-t', 'image0', '--target', 'app']);
    expect(second.stdout).toBe(first.stdout);
    expect(last(second.stderr)).toMatch(/^image0: 7 steps, all cached, /);
    expect(await fileOf(space, 'srv/app/made', ['--target', 'app'])).toBe('hello world 1\n/srv/app\ntool\n');
    expect(await fileOf(space, 'tmp/user', ['--target', 'app'])).toBe('65534\n');
    expect((await inspect(space, 'image0')).Config).toMatchObject({
      User: 'nobody',
      WorkingDir: '/srv/app',
      Cmd: ['cat', '/srv/app/made'],
      Env: expect.arrayContaining(['NAME=world', 'PLACE=/srv/app']),
    });
  });

  it('runs again what follows an edited file, and says why', async () => {
    const space = project();
    await space.build(['--target', 'app']);
    space.write({ second: 'edited' });
    const { stderr } = await space.build(['--target', 'app']);
    expect(stderr).toContain('not cached: 1 file changed (second content)');
    expect(last(stderr)).toContain('7 steps, 3 cached, ');
    expect(await fileOf(space, 'srv/app/second', ['--target', 'app'])).toBe('edited');
  });

  it('runs everything again with --no-cache, and stops at --target', async () => {
    const space = project();
    await space.build([]);
    expect(last((await space.build(['--no-cache'])).stderr)).toContain('8 steps, none cached, ');
    expect(last((await space.build(['--target', 'tools'])).stderr)).toContain('1 step, all cached, ');
    const unknown = await space.tryBuild(['--target', 'nowhere']);
    expect(unknown).toMatchObject({ status: 3, stdout: '' });
    expect(unknown.stderr).toContain('"nowhere"');
  });

  it('takes --build-arg into the steps that see it, and only those', async () => {
    const space = project();
    await space.build([]);
    const { stderr } = await space.build(['--build-arg', 'GREETING=bye']);
    expect(stderr).toMatch(/RUN echo '#!\/bin\/sh'[^\n]*\n#\d+ cached/);
    expect(await fileOf(space, 'srv/app/made', ['--build-arg', 'GREETING=bye'])).toContain('bye world 1\n');
  });

  it('reads a Containerfile from stdin', async () => {
    const space = workspace(person, { files: FILES });
    const { stderr } = await space.build(['-t', 'piped', '-f', '-'], { input: `FROM ${BASE}\nCOPY first /\n` });
    expect(last(stderr)).toMatch(/^piped: 1 step/);
  });

  it('writes the image ID to --iidfile, and with -q nothing else (8.5 #129)', async () => {
    const space = project();
    const result = await space.build(['-q']);
    expect(result.stderr).toBe('');
    expect(result.stdout).toMatch(SHA256);
    const file = `${space.store}/iid`;
    await space.build(['--iidfile', file]);
    expect(readFileSync(file, 'utf8')).toBe(result.stdout.trim());
    space.write({ Containerfile: `FROM ${BASE}\nRUN false\n` });
    const failing = `${space.store}/iid-of-failure`;
    expect((await space.tryBuild(['--iidfile', failing])).status).toBe(5);
    expect(existsSync(failing)).toBe(false);
  });

  it('prints one JSON object a line with --progress json', async () => {
    const { stderr } = await project().build(['-t', 'image0', '--progress', 'json']);
    const events = stderr
      .trimEnd()
      .split('\n')
      .map((line): Record<string, unknown> => JSON.parse(line));
    expect(events[0]).toMatchObject({ type: 'format', version: 1 });
    expect(events.filter(({ type }) => type === 'step.finished')).toHaveLength(8);
    expect(events.at(-1)).toMatchObject({ type: 'built', names: ['localhost/image0:latest'], steps: 8, cached: 0 });
  });

  it('adds labels, and makes Docker manifests where asked to', async () => {
    const space = project();
    await space.build(['-t', 'labelled', '--label', 'org.example.a=1', '--label', 'b=2', '--format', 'docker']);
    expect(await inspect(space, 'labelled')).toMatchObject({
      MediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      Config: { Labels: { 'org.example.a': '1', b: '2' } },
    });
  });

  it('refuses what is no platform, and warns of a base that is for another one', async () => {
    const space = project();
    const outcome = await space.tryBuild(['--platform', 'a/b/c/d']);
    expect(outcome).toMatchObject({ status: 2, stdout: '' });
    expect(outcome.stderr).toContain('"a/b/c/d"');
    const { stderr } = await space.build(['--platform', 'linux/s390x', '--target', 'tools']);
    expect(stderr).toMatch(/warning: InvalidBaseImagePlatform: .* expected "linux\/s390x"/);
  });

  it('prints the graph and builds nothing', async () => {
    const space = project();
    const { stdout } = await space.build(['--print', 'graph', '--target', 'app']);
    expect(stdout).toMatch(/RUN tool >> made/);
    expect(stdout).not.toContain('echo other');
    expect((await space.tsbuild(['images', '-q'])).stdout).not.toContain('none');
  });
});
