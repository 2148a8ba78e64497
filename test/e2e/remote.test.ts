import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, it } from 'vitest';
import { serveFiles } from '../support/file-server.ts';
import { COMMIT_TIME, hasGit, serveGit } from '../support/git-server.ts';
import { hasBase, type Person, people } from '../support/person.ts';
import { tempDir } from '../support/temp-dir.ts';
import { succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');
const MODIFIED = 'Wed, 21 Oct 2015 07:28:00 GMT';
const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** The image's files as `tar -tv` shows them, one a line: `-rw------- 0/0 4 2015-10-21 07:28 name`. */
async function filesOf(space: Workspace, args: readonly string[] = []): Promise<string[]> {
  const file = join(space.person.directory(), 'root.tar');
  await space.build([...args, '-o', `type=tar,dest=${file}`]);
  const { stdout } = await space.person.run(['tar', '--numeric-owner', '--utc', '-tvf', file]);
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.replace(/ +/g, ' '));
}

/** A tar of these files, in an order that lets links come first. */
function archive(person: Person, make: (directory: string) => void, flags: readonly string[] = []): string {
  const directory = tempDir();
  make(directory);
  const file = join(person.directory(), 'context.tar');
  execFileSync('tar', ['-C', directory, ...flags, '-cf', file, '.']);
  execFileSync('chmod', ['644', file]);
  return file;
}

describe.each(people())('ADD of a URL by $name', (person) => {
  it('gives a file of root’s, mode 0600, named as its URL, at the time of Last-Modified (8.3 #85)', async () => {
    const server = await serveFiles({
      '/files/a%20b.txt': { body: 'text', headers: { 'last-modified': MODIFIED } },
      '/old': { status: 302, headers: { location: '/new' } },
      '/new': { body: 'newer' },
    });
    const space = workspace(person, {
      containerfile: `FROM scratch
ARG NAME=a%20b.txt
ADD ${server.url}/files/\${NAME}?download=1 /dir/
ADD ${server.url}/old /
ADD --chmod=755 --chown=12:34 ${server.url}/new /bin/tool
`,
    });
    const files = await filesOf(space);
    expect(files).toContain('-rw------- 0/0 4 2015-10-21 07:28 dir/a b.txt');
    expect(files).toContain('-rw------- 0/0 5 1970-01-01 00:00 old');
    expect(files).toContain('-rwxr-xr-x 12/34 5 1970-01-01 00:00 bin/tool');
  });

  it('is taken from the cache as long as its content is the same, and made again when it changed (8.3 #85)', async () => {
    const server = await serveFiles({ '/a': { body: 'one', headers: { etag: '"1"', 'last-modified': MODIFIED } } });
    const space = workspace(person, { containerfile: `FROM scratch\nADD ${server.url}/a /a\n` });
    await space.build();
    server.answers.set('/a', { body: 'one', headers: { etag: '"2"', 'last-modified': new Date().toUTCString() } });
    expect((await space.build()).stderr).toContain('all cached');
    server.answers.set('/a', { body: 'two', headers: { etag: '"3"' } });
    expect((await space.build()).stderr).toContain('none cached');
    expect(server.requests.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, '"1"', '"2"']);
  });

  it('of nothing fails at its place with the status (8.3 #85)', async () => {
    const server = await serveFiles({});
    const space = workspace(person, { containerfile: `FROM scratch\nADD ${server.url}/none /a\n` });
    const { status, stderr } = await space.tryBuild();
    expect(status).toBe(7);
    expect(stderr).toContain(`error[E_NOT_FOUND]: Cannot fetch "${server.url}/none": the server answered 404`);
    expect(stderr).toContain('Containerfile:2:5');
  });

  it('without a name needs one from the destination (8.3 #85)', async () => {
    const space = workspace(person, { containerfile: 'FROM scratch\nADD https://example.org /\n' });
    const { status, stderr } = await space.tryBuild();
    expect(status).toBe(3);
    expect(stderr).toContain('Cannot tell the name of the file behind "https://example.org"');
    expect(stderr).toContain('name the file in the destination, "/NAME"');
  });

  it('is checked against --checksum, and then needs no server (8.3 #85)', async () => {
    const server = await serveFiles({ '/a': { body: 'text' } });
    const containerfile = `FROM scratch\nARG SUM\nADD --checksum=\${SUM} ${server.url}/a /a\n`;
    const space = workspace(person, { containerfile });
    const bad = await space.tryBuild(['--build-arg', `SUM=${sha256('other')}`]);
    expect(bad.status).toBe(8);
    expect(bad.stderr).toContain(`its checksum is ${sha256('text')}, expected ${sha256('other')}`);
    await space.build(['--build-arg', `SUM=${sha256('text')}`]);
    const before = server.requests.length;
    server.answers.clear();
    await space.build(['--build-arg', `SUM=${sha256('text')}`, '--no-cache']);
    expect(server.requests).toHaveLength(before);
  });

  it('is unpacked only with --unpack, and mixes with files of the context', async () => {
    const body = execFileSync('tar', ['-C', tempDir(), '-cz', '--transform', 's,.*,x/y,', '/etc/hostname'], {
      stdio: 'pipe',
    });
    const server = await serveFiles({ '/a.tgz': { body } });
    const space = workspace(person, {
      files: { local: 'here' },
      containerfile: `FROM scratch\nADD ${server.url}/a.tgz local /packed/\nADD --unpack ${server.url}/a.tgz /unpacked/\n`,
    });
    const names = (await filesOf(space)).map((line) => line.split(' ').at(-1));
    expect(names).toEqual(expect.arrayContaining(['packed/a.tgz', 'packed/local', 'unpacked/x/y']));
  });

  it('comes through a proxy, and prune frees what was kept', async () => {
    const proxy = await serveFiles({ 'http://files.test/a': { body: 'by proxy' } });
    const space = workspace(person, { containerfile: 'FROM scratch\nADD http://files.test/a /a\n' });
    await space.build([], { env: { http_proxy: proxy.url } });
    expect(readdirSync(join(space.store, 'remote')).length).toBeGreaterThan(0);
    succeeded(await space.tsbuild(['prune', '-f']));
    expect(readdirSync(join(space.store, 'remote'))).toEqual([]);
  });
});

describe.runIf(hasGit()).each(people())('ADD of a git repository by $name', (person) => {
  async function project() {
    const server = await serveGit();
    const library = server.repository('library');
    writeFileSync(join(library.directory, 'lib.c'), 'int x;');
    const commit = library.commit();
    const app = server.repository('app');
    mkdirSync(join(app.directory, 'sub'));
    mkdirSync(join(app.directory, 'lib'));
    writeFileSync(join(app.directory, 'sub/run'), '#!/bin/sh\n', { mode: 0o755 });
    writeFileSync(join(app.directory, '.gitmodules'), '[submodule "lib"]\n path = lib\n url = ../library.git\n');
    app.git('update-index', '--add', '--cacheinfo', `160000,${commit},lib`);
    const first = app.commit();
    app.git('tag', 'v1');
    writeFileSync(join(app.directory, 'later'), '');
    const second = app.commit();
    return { server, app, first, second, url: `${server.url}/app.git` };
  }

  it('gives the files of the ref, of a subdirectory, with submodules and with .git (8.3 #86)', async () => {
    const { url, first } = await project();
    const space = workspace(person, {
      containerfile: `FROM scratch
ARG REF=v1
ADD ${url}#\${REF} /tag/
ADD ${url} /head
ADD ${url}#${first}:sub /sub/
ADD --keep-git-dir ${url} /kept/
ADD --chown=12:34 ${url}?branch=main&submodules=false /query/
`,
    });
    const files = await filesOf(space);
    const names = files.map((line) => line.split(' ').at(-1));
    const has = (...wanted: readonly string[]) => expect(names).toEqual(expect.arrayContaining([...wanted]));
    has('tag/sub/run', 'tag/lib/lib.c', 'head/later', 'sub/run', 'kept/.git/HEAD', 'query/later');
    for (const name of ['tag/later', 'tag/.git/', 'head/.git/', 'tag/lib/.git', 'query/lib/lib.c'])
      expect(names).not.toContain(name);
    const time = new Date(COMMIT_TIME * 1000).toISOString().slice(0, 16).replace('T', ' ');
    expect(files).toContain(`-rwxr-xr-x 0/0 10 ${time} sub/run`);
    expect(files).toContain(`drwxr-xr-x 0/0 0 ${time} tag/sub/`);
    expect(files).toContain(`-rw-r--r-- 12/34 0 ${time} query/later`);
    expect((await space.build()).stderr).toContain('all cached');
  });

  it('fails at its place for a ref that is not there, and for another commit than --checksum says (8.3 #86)', async () => {
    const { url, first, second } = await project();
    const typo = workspace(person, { containerfile: `FROM scratch\nADD ${url}#mian /\n` });
    const missing = await typo.tryBuild();
    expect(missing.status).toBe(7);
    expect(missing.stderr).toContain(`Cannot find "mian" in "${url}": no branch and no tag is called so`);
    expect(missing.stderr).toContain('Did you mean "main"?');
    expect(missing.stderr).toContain('Containerfile:2:5');
    typo.write({ Containerfile: `FROM scratch\nADD --checksum=${first} ${url} /\n` });
    const moved = await typo.tryBuild();
    expect(moved.status).toBe(8);
    expect(moved.stderr).toContain(`its commit is ${second}, expected ${first}`);
  });
});

describe.runIf(hasBase()).each(people())('the context of $name', (person) => {
  const CONTAINERFILE = `FROM ${BASE}\nCOPY . /c/\nRUN cd /c && find . -type f | sort\n`;
  const fill = (directory: string): void => {
    mkdirSync(join(directory, 'sub'));
    writeFileSync(join(directory, 'Containerfile'), CONTAINERFILE);
    writeFileSync(join(directory, '.dockerignore'), 'sub\n');
    writeFileSync(join(directory, 'sub/file'), 'text');
  };
  const SEEN = ['./.dockerignore', './Containerfile', './sub/file'];
  const build = (space: Workspace, args: readonly string[], input?: Buffer) =>
    space.tsbuild(['build', '--no-cache', ...args], input ? { input } : {});
  const printed = (stderr: string): string[] => [...stderr.matchAll(/^#\d+ \| (.*)$/gm)].map(([, text]) => text ?? '');

  it.each([[[]], [['-z']], [['-J']], [['--zstd']]])(
    'is a tar archive on standard input, packed by %j',
    async (flags) => {
      const space = workspace(person);
      const file = archive(person, fill, flags);
      const { stderr } = succeeded(await build(space, ['-'], execFileSync('cat', [file])));
      expect(printed(stderr)).toEqual(SEEN);
      expect(readdirSync(join(space.store, 'ingest'))).toEqual([]);
    },
  );

  it('is nothing but a Containerfile on standard input', async () => {
    const space = workspace(person);
    const { stderr } = succeeded(
      await build(space, ['-'], Buffer.from(`FROM ${BASE}\nCOPY . /c/\nRUN echo hello; ls /c\n`)),
    );
    expect(printed(stderr)).toEqual(['hello']);
    const both = await build(space, ['-f', 'other', '-'], Buffer.from('FROM scratch\n'));
    expect([both.status, both.stderr]).toEqual([2, expect.stringContaining('is a Containerfile and no archive')]);
    expect((await build(space, ['-f', '-', '-'], Buffer.from('FROM scratch\n'))).status).toBe(2);
    expect(readdirSync(join(space.store, 'ingest'))).toEqual([]);
  });

  it('is an archive or a Containerfile behind a URL, fetched once', async () => {
    const body = execFileSync('cat', [archive(person, fill, ['-z'])]);
    const server = await serveFiles({
      '/context': { body },
      '/text': { body: `FROM ${BASE}\nRUN echo from a URL\n` },
    });
    const space = workspace(person);
    expect(printed(succeeded(await build(space, [`${server.url}/context`])).stderr)).toEqual(SEEN);
    expect(printed(succeeded(await build(space, [`${server.url}/text`])).stderr)).toEqual(['from a URL']);
    space.write({ other: 'x' });
    const { stderr } = succeeded(await build(space, ['-f', `${server.url}/text`, space.context]));
    expect(printed(stderr)).toEqual(['from a URL']);
    expect(server.requests.map(({ url }) => url)).toEqual(['/context', '/text', '/text']);
  });

  it.runIf(hasGit())('is a git repository, or a directory of one, with its own -f (8.3 #86)', async () => {
    const server = await serveGit();
    const app = server.repository('app');
    fill(app.directory);
    writeFileSync(join(app.directory, 'sub/Other'), CONTAINERFILE);
    app.commit();
    const space = workspace(person);
    const whole = succeeded(await build(space, [`${server.url}/app.git`]));
    expect(printed(whole.stderr)).toEqual([...SEEN.slice(0, 2), './sub/Other', './sub/file']);
    const part = succeeded(await build(space, ['-f', 'Other', `${server.url}/app.git#main:sub`]));
    expect(printed(part.stderr)).toEqual(['./Other', './file']);
    const none = await build(space, ['-f', 'none', `${server.url}/app.git`]);
    expect([none.status, none.stderr]).toEqual([
      4,
      expect.stringContaining('No such Containerfile: "none" in the context'),
    ]);
  });

  it('cannot show a Containerfile of this machine', async () => {
    const space = workspace(person);
    const file = archive(person, (directory) => symlinkSync('/etc/passwd', join(directory, 'Containerfile')));
    const { status, stderr } = await build(space, ['-'], execFileSync('cat', [file]));
    expect(status).toBe(4);
    expect(stderr).not.toContain('root:');
  });

  it('that is damaged or hostile leaves nothing behind', async () => {
    const space = workspace(person);
    const whole = execFileSync('cat', [archive(person, fill)]);
    const cut = await build(space, ['-'], whole.subarray(0, 1500));
    expect([cut.status, cut.stderr]).toEqual([4, expect.stringContaining('E_BAD_ARCHIVE')]);
    const climbing = archive(person, fill, ['-P', '--transform', 's,^\\./sub/file,../../../escaped,']);
    const climbed = await build(space, ['-'], execFileSync('cat', [climbing]));
    expect([climbed.status, climbed.stderr]).toEqual([4, expect.stringContaining('E_BAD_ARCHIVE')]);
    expect(existsSync(join(space.store, 'escaped'))).toBe(false);
    expect(readdirSync(join(space.store, 'ingest'))).toEqual([]);
  });

  it('goes when the build is interrupted', async () => {
    const space = workspace(person);
    const child = person.start(['--root', space.store, 'build', '-']);
    child.stdin?.end(`FROM ${BASE}\nRUN echo ready; sleep 60\n`);
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    for (let tries = 0; tries < 200 && !stderr.includes('| ready'); tries++) await sleep(100);
    expect(stderr).toContain('| ready');
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(readdirSync(join(space.store, 'ingest'))).toEqual([]);
  });
});
