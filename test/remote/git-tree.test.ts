import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { GitTree } from '../../src/remote/index.ts';
import { COMMIT_TIME, hasGit, serveGit, type TestRepository } from '../support/git-server.ts';
import { testSources } from './sources.ts';

const TREE = { keepGitDir: false, submodules: true } as const;

function fill(repository: TestRepository, files: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(repository.directory, name, '..'), { recursive: true });
    writeFileSync(join(repository.directory, name), text);
  }
  return repository.commit();
}

/** A server with one repository `app`: `a` is `one` at v1 (an annotated tag), `two` on main, `three` on the branch `next`. */
async function threeCommits() {
  const server = await serveGit();
  const app = server.repository('app');
  const one = fill(app, { a: 'one', 'dir/b': 'below' });
  app.git('tag', '-a', '-m', 'First', 'v1');
  const two = fill(app, { a: 'two' });
  app.git('checkout', '-q', '-b', 'next');
  const three = fill(app, { a: 'three' });
  app.git('checkout', '-q', 'main');
  return { server, app, one, two, three, url: `${server.url}/app.git` };
}

/** As `git submodule add` does, which would ask the server that this process is. */
function addSubmodule(app: TestRepository, url: string, commit: string): void {
  mkdirSync(join(app.directory, 'lib'));
  writeFileSync(join(app.directory, '.gitmodules'), `[submodule "lib"]\n path = lib\n url = ${url}\n`);
  app.git('update-index', '--add', '--cacheinfo', `160000,${commit},lib`);
  app.commit();
}

const read = (directory: string, name: string): string => readFileSync(join(directory, name), 'utf8');

describe.runIf(hasGit())('a git repository', () => {
  it('gives its default branch, a branch, a tag or a commit (8.3 #86)', async () => {
    const { url, one } = await threeCommits();
    const sources = testSources().nextBuild();
    const textAt = async (ref?: string): Promise<string> => read(await sources.tree({ ...TREE, url, ref }), 'a');
    expect(await textAt()).toBe('two');
    expect(await textAt('next')).toBe('three');
    expect(await textAt('refs/heads/next')).toBe('three');
    expect(await textAt('v1')).toBe('one');
    expect(await textAt(one)).toBe('one');
  });

  it('gives one directory of it (8.3 #86)', async () => {
    const { url } = await threeCommits();
    const sources = testSources().nextBuild();
    expect(readdirSync(await sources.tree({ ...TREE, url, ref: 'v1', subdir: 'dir' }))).toEqual(['b']);
    await expect(sources.tree({ ...TREE, url, subdir: 'none' })).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: `Cannot use "none" of "${url}": there is no such directory`,
    });
    await expect(sources.tree({ ...TREE, url, subdir: 'a' })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  it('has files 0644 and 0755, directories 0755, and the time of the commit everywhere (8.3 #86)', async () => {
    const server = await serveGit();
    const app = server.repository('app');
    fill(app, { 'dir/plain': '', 'dir/run': '#!/bin/sh\n' });
    chmodSync(join(app.directory, 'dir/run'), 0o700);
    symlinkSync('plain', join(app.directory, 'dir/link'));
    app.commit();
    const directory = await testSources()
      .nextBuild()
      .tree({ ...TREE, url: `${server.url}/app.git` });
    const facts = ['.', 'dir', 'dir/plain', 'dir/run', 'dir/link'].map((name) => {
      const { mode, mtimeMs } = lstatSync(join(directory, name));
      return [name, name === 'dir/link' ? 'link' : (mode & 0o7777).toString(8), mtimeMs / 1000];
    });
    expect(facts).toEqual([
      ['.', '755', COMMIT_TIME],
      ['dir', '755', COMMIT_TIME],
      ['dir/plain', '644', COMMIT_TIME],
      ['dir/run', '755', COMMIT_TIME],
      ['dir/link', 'link', COMMIT_TIME],
    ]);
  });

  it('comes without .git, or with one that git can use (8.3 #86)', async () => {
    const { url, app } = await threeCommits();
    const sources = testSources().nextBuild();
    expect(readdirSync(await sources.tree({ ...TREE, url }))).toEqual(['a', 'dir']);
    const kept = await sources.tree({ ...TREE, url, keepGitDir: true });
    expect(readdirSync(kept)).toEqual(['.git', 'a', 'dir']);
    expect(app.git('-C', kept, '-c', 'safe.directory=*', 'status', '--porcelain')).toBe('');
    expect(app.git('-C', kept, '-c', 'safe.directory=*', 'log', '--oneline', 'main').split('\n')).toHaveLength(1);
    expect(app.git('-C', kept, '-c', 'safe.directory=*', 'remote', 'get-url', 'origin')).toBe(url);
  });

  it('is asked for its refs only, the next time, and for nothing where the commit is named', async () => {
    const { server, url, two } = await threeCommits();
    const { nextBuild } = testSources();
    const first = await nextBuild().tree({ ...TREE, url });
    server.requests.length = 0;
    expect(await nextBuild().tree({ ...TREE, url })).toBe(first);
    expect(server.requests.filter((request) => request.includes('upload-pack') && !request.includes('?'))).toHaveLength(
      1,
    );
    server.requests.length = 0;
    expect(await nextBuild().tree({ ...TREE, url, ref: two })).toBe(first);
    expect(server.requests).toEqual([]);
  });

  it('follows a branch that moved', async () => {
    const { url, app } = await threeCommits();
    const { nextBuild } = testSources();
    await nextBuild().tree({ ...TREE, url });
    fill(app, { a: 'four' });
    expect(read(await nextBuild().tree({ ...TREE, url }), 'a')).toBe('four');
  });

  it('is fetched whole where the server gives no single commit (8.3 #86)', async () => {
    const { url, app, one } = await threeCommits();
    app.git('config', 'uploadpack.allowAnySHA1InWant', 'false');
    app.git('config', 'protocol.version', '0');
    const env = {
      PATH: process.env.PATH,
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'protocol.version',
      GIT_CONFIG_VALUE_0: '0',
    };
    expect(
      read(
        await testSources()
          .nextBuild({ env })
          .tree({ ...TREE, url, ref: one }),
        'a',
      ),
    ).toBe('one');
  });

  it.each([
    ['mian', 'Did you mean "main"?'],
    ['v2', 'Did you mean "v1"?'],
    ['nothing-like-it', 'See what there is: git ls-remote --heads --tags URL'],
    ['deadbeef', 'A commit is named by its whole id (40 digits): servers do not look for a part of it'],
  ])('without the ref %s names what is near (8.3 #86)', async (ref, hint) => {
    const { url } = await threeCommits();
    await expect(
      testSources()
        .nextBuild()
        .tree({ ...TREE, url, ref }),
    ).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: `Cannot find "${ref}" in "${url}": no branch and no tag is called so`,
      hint,
    });
  });

  it('without a commit that is named says so', async () => {
    const { url } = await threeCommits();
    const ref = '0123456789'.repeat(4);
    await expect(
      testSources()
        .nextBuild()
        .tree({ ...TREE, url, ref }),
    ).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: `Cannot find the commit ${ref} in "${url}"`,
    });
  });

  it('that is not there is not found; without its program it says what to install', async () => {
    const server = await serveGit();
    const { nextBuild } = testSources();
    const url = `${server.url}/none.git`;
    await expect(nextBuild().tree({ ...TREE, url })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await expect(nextBuild({ env: { PATH: '/nonexistent' } }).tree({ ...TREE, url })).rejects.toMatchObject({
      code: 'E_REMOTE',
      message: `Cannot fetch "${url}": the program "git" is not installed`,
      hint: expect.stringContaining('apt install git'),
    });
  });

  it('must be at the commit that a checksum names (8.3 #86)', async () => {
    const { url, one, two } = await threeCommits();
    const { nextBuild, ingest } = testSources();
    const wanted: GitTree = { ...TREE, url, ref: 'main', checksum: two.slice(0, 12) };
    expect(read(await nextBuild().tree(wanted), 'a')).toBe('two');
    await expect(nextBuild().tree({ ...wanted, checksum: one })).rejects.toMatchObject({
      code: 'E_DIGEST_MISMATCH',
      exitCode: 8,
      message: `Cannot use "${url}": its commit is ${two}, expected ${one}`,
    });
    expect(readdirSync(ingest)).toEqual([]);
  });
});

describe.runIf(hasGit())('submodules', () => {
  it('are there, without their .git, unless nobody wants them (8.3 #86)', async () => {
    const server = await serveGit();
    const library = fill(server.repository('library'), { 'lib.c': 'int x;' });
    const app = server.repository('app');
    addSubmodule(app, '../library.git', library);
    const url = `${server.url}/app.git`;
    const sources = testSources().nextBuild();
    const directory = await sources.tree({ ...TREE, url });
    expect(readdirSync(join(directory, 'lib'))).toEqual(['lib.c']);
    expect(statSync(join(directory, 'lib/lib.c')).mtimeMs / 1000).toBe(COMMIT_TIME);
    expect(readdirSync(join(await sources.tree({ ...TREE, url, submodules: false }), 'lib'))).toEqual([]);
  });

  it('from this machine are refused', async () => {
    const server = await serveGit();
    const secret = server.repository('secret');
    const commit = fill(secret, { password: 'x' });
    const app = server.repository('app');
    addSubmodule(app, `file://${secret.directory}`, commit);
    await expect(
      testSources()
        .nextBuild()
        .tree({ ...TREE, url: `${server.url}/app.git` }),
    ).rejects.toMatchObject({
      code: 'E_REMOTE',
      hint: expect.stringContaining('never from this machine'),
    });
  });
});

describe.runIf(hasGit())('a hostile repository', () => {
  it('has links as data: a subdirectory that leads out is refused', async () => {
    const server = await serveGit();
    const app = server.repository('app');
    symlinkSync('/etc', join(app.directory, 'out'));
    fill(app, { 'in/a': 'text' });
    symlinkSync('in', join(app.directory, 'inside'));
    app.commit();
    const url = `${server.url}/app.git`;
    const sources = testSources().nextBuild();
    expect(lstatSync(join(await sources.tree({ ...TREE, url }), 'out')).isSymbolicLink()).toBe(true);
    expect(readdirSync(await sources.tree({ ...TREE, url, subdir: 'inside' }))).toEqual(['a']);
    await expect(sources.tree({ ...TREE, url, subdir: 'out' })).rejects.toMatchObject({ code: 'E_PATH_ESCAPE' });
  });

  it('runs no hook of the user and no filter of git-lfs', async () => {
    const server = await serveGit();
    const app = server.repository('app');
    fill(app, { '.gitattributes': '*.bin filter=lfs', 'a.bin': 'pointer' });
    const { nextBuild, ingest } = testSources();
    const home = join(ingest, '..');
    mkdirSync(join(home, 'hooks'));
    writeFileSync(join(home, 'hooks/post-checkout'), `#!/bin/sh\ntouch ${home}/hooked\n`, { mode: 0o755 });
    const config = `[core]\n hooksPath = ${home}/hooks\n autocrlf = true\n[filter "lfs"]\n smudge = "touch ${home}/smudged"\n`;
    writeFileSync(join(home, '.gitconfig'), config);
    const directory = await nextBuild().tree({ ...TREE, url: `${server.url}/app.git` });
    expect(read(directory, 'a.bin')).toBe('pointer');
    expect(readdirSync(home)).not.toEqual(expect.arrayContaining(['hooked']));
    expect(readdirSync(home)).not.toEqual(expect.arrayContaining(['smudged']));
  });
});

describe.runIf(hasGit())('credentials of a repository', () => {
  it('come from its URL, by a header, and are in no message', async () => {
    const server = await serveGit({ login: 'me:pa@ss' });
    fill(server.repository('app'), { a: 'text' });
    const url = `${server.url.replace('http://', 'http://me:pa%40ss@')}/app.git`;
    const { nextBuild } = testSources();
    const directory = await nextBuild().tree({ ...TREE, url, keepGitDir: true });
    expect(read(directory, 'a')).toBe('text');
    expect(read(directory, '.git/config')).not.toContain('pa');
    const wrong = await nextBuild()
      .tree({ ...TREE, url: url.replace('pa%40ss', 'wrong-secret') })
      .catch((error: unknown) => error);
    expect(wrong).toMatchObject({ code: 'E_UNAUTHORIZED' });
    expect(JSON.stringify(wrong) + String(wrong)).not.toContain('wrong-secret');
  });

  it('come from what the user set up for git', async () => {
    const server = await serveGit({ login: 'me:secret' });
    fill(server.repository('app'), { a: 'text' });
    const { nextBuild, ingest } = testSources();
    writeFileSync(
      join(ingest, '../.gitconfig'),
      '[credential]\n helper = "!f() { echo username=me; echo password=secret; }; f"\n',
    );
    const directory = await nextBuild().tree({ ...TREE, url: `${server.url}/app.git` });
    expect(read(directory, 'a')).toBe('text');
  });
});
