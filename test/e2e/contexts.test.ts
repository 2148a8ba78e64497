import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { serveFiles } from '../support/file-server.ts';
import { hasGit, serveGit } from '../support/git-server.ts';
import { hasBase, people } from '../support/person.ts';
import { tarOf } from '../support/sample-images.ts';
import { inspect, succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');

/** The files of what the build makes, by `path: text` lines. */
async function filesOf(space: Workspace, args: readonly string[], paths: readonly string[]): Promise<string[]> {
  const tar = `${space.store}/out.tar`;
  await space.build([...args, '-o', `type=tar,dest=${tar}`]);
  const found = (await space.person.run(['tar', '-tf', tar])).stdout.split('\n');
  const read = async (path: string): Promise<string> => {
    if (!found.includes(path)) return `${path}: none`;
    return `${path}: ${(await space.person.run(['tar', '-xOf', tar, path])).stdout.trim()}`;
  };
  return Promise.all(paths.map(read));
}

const last = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';

describe.runIf(hasBase()).each(people())('named contexts of $name', (person) => {
  const data = person.directory();
  person.write(data, { file: 'data', secret: 's', 'sub/deep': 'deep', '.dockerignore': 'secret\n' });

  it('may be directories, in the place of a stage or an image, with an ignore file of their own', async () => {
    const space = workspace(person, {
      containerfile: `FROM ${BASE} AS assets\nRUN false\n\nFROM site AS page\nCOPY own /own\n\nFROM ${BASE}\nCOPY --from=assets . /assets/\nCOPY --from=page / /page/\nRUN --mount=from=assets,target=/m test ! -e /m/secret && cat /page/own /m/file > /both\n`,
      files: { own: 'own', '.dockerignore': 'nothing\n' },
    });
    const args = ['--build-context', `assets=${data}`, '--build-context', `site=${data}`];
    const paths = ['both', 'assets/sub/deep', 'page/file', 'assets/secret', 'page/secret'];
    expect(await filesOf(space, args, paths)).toEqual([
      'both: owndata',
      'assets/sub/deep: deep',
      'page/file: data',
      'assets/secret: none',
      'page/secret: none',
    ]);
    expect(last((await space.build(args)).stderr)).toContain('all cached');
  });

  it('may be images: of a registry, or in a layout', async () => {
    const space = workspace(person, { containerfile: `FROM ${BASE}\nRUN echo layout > /made\nENV FROM=layout\n` });
    await space.build(['-t', 'made']);
    const layout = `${space.store}/layout`;
    const digest = succeeded(await space.tsbuild(['push', 'made', `oci:${layout}:v1`])).stdout.trim();
    const user = workspace(person, {
      containerfile:
        'FROM tools\nRUN cp /made /copy\nCOPY --from=docker.io/library/busybox:latest /bin/busybox /copied\n',
    });
    for (const source of [`oci-layout://${layout}`, `oci-layout://${layout}:v1`, `oci-layout://${layout}@${digest}`]) {
      const args = ['--build-context', `tools=${source}`, '--build-context', `busybox=docker-image://${BASE}`];
      expect(await filesOf(user, args, ['copy'])).toEqual(['copy: layout']);
      await user.build([...args, '-t', 'result']);
      expect((await inspect(user, 'result')).Config.Env).toContain('FROM=layout');
    }
    const wrong = await user.tryBuild(['--build-context', `tools=oci-layout://${layout}:v2`]);
    expect(wrong).toMatchObject({ status: 9, stdout: '' });
    expect(wrong.stderr).toMatch(/--> Containerfile:1:6[\s\S]*next: Choose one of: v1/);
  });

  it('may be archives behind URLs', async () => {
    const { url } = await serveFiles({ '/a.tgz': { body: gzipSync(await tarOf({ 'sub/file': 'packed' })) } });
    const space = workspace(person, { containerfile: 'FROM scratch\nCOPY --from=web sub /copy\n' });
    expect(await filesOf(space, ['--build-context', `web=${url}/a.tgz`], ['copy/file'])).toEqual(['copy/file: packed']);
  });

  it('may be other files behind URLs: each is one file called context, as in BuildKit', async () => {
    const { url } = await serveFiles({ '/some/file': { body: 'remote' } });
    const space = workspace(person, { containerfile: 'FROM web\nCOPY --from=web context /copy\n' });
    const args = ['--build-context', `web=${url}/some/file`];
    expect(await filesOf(space, args, ['context', 'copy'])).toEqual(['context: remote', 'copy: remote']);
    expect(last((await space.build(args)).stderr)).toContain('all cached');
    const missing = await space.tryBuild(['--build-context', `web=${url}/nothing`]);
    expect(missing.status).not.toBe(0);
    expect(missing.stderr).toContain('Containerfile:1:');
  });

  it.runIf(hasGit())('may be git repositories, at a ref and below a directory', async () => {
    const server = await serveGit();
    const repository = server.repository('data');
    mkdirSync(join(repository.directory, 'sub'));
    writeFileSync(join(repository.directory, 'sub/file'), 'tagged');
    repository.commit();
    repository.git('tag', 'v1');
    writeFileSync(join(repository.directory, 'sub/file'), 'newest');
    repository.commit();
    const space = workspace(person, {
      containerfile: `FROM ${BASE}\nCOPY --from=repo . /data/\nRUN cat /data/file > /seen\n`,
    });
    const build = (ref: string) =>
      filesOf(space, ['--build-context', `repo=${server.url}/data.git#${ref}:sub`], ['seen']);
    expect(await build('v1')).toEqual(['seen: tagged']);
    expect(await build('main')).toEqual(['seen: newest']);
  });

  it('that are missing or misspelled are said', async () => {
    const space = workspace(person, { containerfile: 'FROM scratch\nCOPY --from=assets file /\n' });
    const missing = await space.tryBuild(['--build-context', 'assets=/no/such/place']);
    expect(missing).toMatchObject({ status: 4, stdout: '' });
    expect(missing.stderr).toContain('Cannot use "/no/such/place" as the build context "assets": no such directory');
    const { stderr } = await space.build(['--build-context', `assets=${data}`, '--build-context', `asets=${data}`]);
    expect(stderr).toMatch(/warning: Build context "asets" is not used.*\n.*Did you mean "assets"\?/);
    const hidden = await space.tryBuild(['--build-context', `assets=${data}/sub`]);
    expect(hidden.stderr).toMatch(/E_NOT_IN_CONTEXT.*"file".*build context "assets"[\s\S]*Containerfile:2:20/);
  });
});

describe.runIf(hasBase()).each(people())('images in files of $name', (person) => {
  const files = person.directory();
  const at = (name: string): string => join(files, name);
  let maker: Workspace;

  const make = async (text: string): Promise<void> => {
    maker.write({ Containerfile: `FROM ${BASE}\nRUN echo ${text} > /made\n` });
    await maker.build([
      '-t',
      'made',
      '-o',
      `type=oci,dest=${at('oci.tar')}`,
      '-o',
      `type=docker,dest=${at('docker.tar')}`,
    ]);
    const pushed = succeeded(await maker.tsbuild(['push', 'made', `oci:${at('layout')}:v1`])).stdout;
    // as skopeo writes dir:
    const digest = pushed.trim().replace('sha256:', '');
    const copy = `mkdir -p dir && cp layout/blobs/sha256/* dir/ && mv dir/${digest} dir/manifest.json`;
    succeeded(await person.run(['sh', '-c', copy], { cwd: files }));
  };

  beforeAll(async () => {
    maker = workspace(person);
    await make('one');
  });

  it.each(['oci:layout', 'oci:layout:v1', 'oci-archive:oci.tar', 'docker-archive:docker.tar', 'dir:dir'])(
    'are bases and sources: %s',
    async (name) => {
      const [transport, ...path] = name.split(':');
      const image = `${transport}:${at(path.join(':'))}`;
      const space = workspace(person, {
        containerfile: `FROM ${image}\nRUN cp /made /a\nCOPY --from=${image} /made /b\n`,
      });
      expect(await filesOf(space, [], ['a', 'b'])).toEqual(['a: one', 'b: one']);
      expect(last((await space.build()).stderr)).toContain('2 steps, all cached');
      const { stdout } = succeeded(await space.tsbuild(['images']));
      expect(stdout).not.toMatch(/made|v1|layout/);
    },
  );

  it('are read by paths from the working directory', async () => {
    const space = workspace(person, { containerfile: 'ARG NAME=none\nFROM oci-archive:$NAME\nRUN cp /made /a\n' });
    await space.build(['--build-arg', 'NAME=oci.tar'], { cwd: files });
    const missing = await space.tryBuild([], { cwd: files });
    expect(missing).toMatchObject({ status: 9, stdout: '' });
    expect(missing.stderr).toContain(`there is no "${at('none')}"`);
    expect(missing.stderr).toContain('Containerfile:2:6');
  });

  it('may come through a pipe, which can be read once', async () => {
    const space = workspace(person, { containerfile: `FROM docker-archive:${at('pipe')}\nRUN cat /made\n` });
    const written = person.run(['sh', '-c', 'mkfifo pipe && cat docker.tar > pipe'], { cwd: files });
    await expect.poll(() => existsSync(at('pipe'))).toBe(true);
    expect((await space.build()).stderr).toContain('| one');
    succeeded(await written);
  });

  it('are noticed when they change', async () => {
    const space = workspace(person, { containerfile: `FROM oci-archive:${at('oci.tar')}\nRUN cat /made\n` });
    expect((await space.build()).stderr).toContain('| one');
    await make('two');
    expect((await space.build()).stderr).toContain('| two');
  });
});

describe.runIf(hasBase()).each(people())('FROM by $name', (person) => {
  it('takes name@digest and name:tag@digest (8.1 #37)', async () => {
    const space = workspace(person);
    succeeded(await space.tsbuild(['pull', BASE]));
    const { Digest } = await inspect(space, BASE);
    const name = BASE.replace(/:[^/:]*$/, '');
    space.write({
      Containerfile: `FROM ${name}@${Digest} AS one\nRUN echo 1 > /one\nFROM ${BASE}@${Digest}\nCOPY --from=one /one /\n`,
    });
    expect(await filesOf(space, [], ['one'])).toEqual(['one: 1']);
    space.write({ Containerfile: `FROM ${name}@${Digest.replace(/.$/, 'x')}\n` });
    expect(await space.tryBuild()).toMatchObject({ status: 2 });
  });

  it('and COPY --from take stages by name and number, and images (8.3 #78)', async () => {
    const space = workspace(person, {
      containerfile: `FROM ${BASE} AS one\nRUN echo 1 > /one\nFROM one AS Two\nRUN echo 2 > /two\nFROM scratch\nCOPY --from=0 /one /a\nCOPY --from=tWO /two /one /\nCOPY --from=${BASE} /bin/busybox /b\n`,
    });
    expect(await filesOf(space, [], ['a', 'one', 'two'])).toEqual(['a: 1', 'one: 1', 'two: 2']);
    space.write({ Containerfile: `FROM ${BASE}\nCOPY --from=late /x /\nFROM ${BASE} AS late\n` });
    const late = await space.tryBuild(['--target', '0']);
    expect(late).toMatchObject({ status: 3, stdout: '' });
    expect(late.stderr).toContain('Containerfile:2:13');
  });

  it('runs the triggers of a base, which may copy from stages of this file', async () => {
    const space = workspace(person, {
      containerfile: `FROM ${BASE}\nONBUILD COPY --from=extra /made /triggered\nONBUILD RUN cat /triggered > /run\n`,
    });
    await space.build(['-o', `type=oci,dest=${space.store}/onbuild.tar`]);
    space.write({
      Containerfile: `FROM ${BASE} AS extra\nRUN echo extra > /made\nFROM oci-archive:${space.store}/onbuild.tar\n`,
    });
    expect(await filesOf(space, [], ['run'])).toEqual(['run: extra']);
  });
});

describe.runIf(hasBase()).each(people())('the files of a build by $name', (person) => {
  it('may be several, and errors name the right one', async () => {
    const space = workspace(person, {
      files: {
        one: `FROM ${BASE} AS a\nRUN echo 1 > /one\n`,
        two: '\nRUN echo 2 > /two\n',
        bad: '# no\nCOPY nofile /\n',
      },
    });
    expect(await filesOf(space, ['-f', 'one', '-f', 'two'], ['one', 'two'])).toEqual(['one: 1', 'two: 2']);
    const outcome = await space.tryBuild(['-f', 'one', '-f', 'bad', '-f', '-'], { input: 'RUN true\n' });
    expect(outcome.stderr).toContain('--> bad:2:6');
    const stdin = await space.tryBuild(['-f', 'one', '-f', '-'], { input: 'RUN x\nRUM true\n' });
    expect(stdin.stderr).toContain('--> <stdin>:2:1');
  });

  it('may come through pipes, which can be read once', async () => {
    const space = workspace(person, { files: { one: `FROM ${BASE}\nRUN echo 1 > /one\n` } });
    const pipe = `${space.store}/pipe`;
    const written = person.run(['sh', '-c', `mkfifo ${pipe} && echo 'RUN echo 2 > /two' > ${pipe}`]);
    await expect.poll(() => existsSync(pipe)).toBe(true);
    expect(await filesOf(space, ['-f', 'one', '-f', pipe], ['one', 'two'])).toEqual(['one: 1', 'two: 2']);
    succeeded(await written);
  });

  it('may be outside of the context, with an ignore file beside them', async () => {
    const elsewhere = person.directory();
    person.write(elsewhere, {
      'my.file': 'FROM scratch\nCOPY . /\n',
      'my.file.dockerignore': 'a\n',
      'my.ignore': 'b\n',
    });
    const space = workspace(person, { files: { a: 'a', b: 'b', '.dockerignore': '*\n' } });
    const run = (args: readonly string[]) => filesOf(space, ['-f', join(elsewhere, 'my.file'), ...args], ['a', 'b']);
    expect(await run([])).toEqual(['a: none', 'b: b']);
    expect(await run(['--ignorefile', join(elsewhere, 'my.ignore')])).toEqual(['a: a', 'b: none']);
    const missing = await space.tryBuild(['-f', join(elsewhere, 'my.file'), '--ignorefile', 'nothing']);
    expect(missing).toMatchObject({ status: 4 });
    expect(missing.stderr).toContain('No such ignore file: "nothing"');
  });

  it('say when two ignore files compete', async () => {
    const space = workspace(person, {
      containerfile: 'FROM scratch\nCOPY . /\n',
      files: { a: 'a', b: 'b', '.containerignore': 'a\n', '.dockerignore': 'b\n' },
    });
    expect((await space.build()).stderr).toContain(
      'warning: .containerignore is used, and .dockerignore beside it is not',
    );
    expect(await filesOf(space, [], ['a', 'b'])).toEqual(['a: none', 'b: b']);
  });

  it('may hold build arguments', async () => {
    const space = workspace(person, {
      containerfile: `FROM ${BASE}\nARG A\nARG B\nRUN echo $A $B > /args\n`,
      files: { args: '# comment\nA=file\nB=file\n' },
    });
    const args = ['--build-arg-file', `${space.context}/args`, '--build-arg', 'B=option'];
    expect(await filesOf(space, args, ['args'])).toEqual(['args: file option']);
  });
});
