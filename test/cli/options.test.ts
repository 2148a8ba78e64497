import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../support/temp-dir.ts';
import { failing, runFake } from './fake-host.ts';

const ID = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('the options of build', () => {
  it.each<[string, string[], object]>([
    [
      'nothing',
      ['.'],
      { context: '.', tags: [], noCache: false, pull: 'missing', network: 'default', format: 'oci', outputs: [] },
    ],
    [
      'no word build',
      ['-t', 'image0', '-f', 'Containerfile', '.'],
      { tags: ['image0'], files: ['Containerfile'], context: '.' },
    ],
    ['the word build', ['build', '-t', 'a', '-t', 'b'], { tags: ['a', 'b'], context: '.' }],
    ['several -f', ['-f', 'a', '-f', 'b'], { files: ['a', 'b'] }],
    ['--target', ['--target', 'test'], { target: 'test' }],
    [
      '--build-context',
      ['--build-context', 'a=../a=b', '--build-context=b=docker-image://c'],
      { contexts: { a: '../a=b', b: 'docker-image://c' } },
    ],
    ['--ignorefile', ['--ignorefile', 'x.ignore'], { ignoreFile: 'x.ignore' }],
    [
      '--build-arg',
      ['--build-arg', 'A=1=2', '--build-arg', 'HERE', '--build-arg', 'UNSET'],
      { buildArgs: { A: '1=2', HERE: 'env' } },
    ],
    ['--label', ['--label', 'a=b', '--label=c'], { labels: { a: 'b', c: '' } }],
    ['--no-cache and --pull', ['--no-cache', '--pull'], { noCache: true, pull: 'always' }],
    ['--no-cache=false', ['--no-cache=false', '--pull=always'], { noCache: false, pull: 'always' }],
    ['--platform', ['--platform', 'linux/arm64'], { platforms: ['linux/arm64'] }],
    ['--network none', ['--network=none'], { network: 'none' }],
    ['--network private', ['--network=private'], { network: 'private' }],
    ['--network pasta', ['--network', 'pasta'], { network: 'pasta' }],
    ['--jobs', ['--jobs', '4'], { jobs: 4 }],
    ['--format', ['--format', 'docker'], { format: 'docker' }],
    ['--tls-verify alone', ['--tls-verify', '.'], { tlsVerify: true, context: '.' }],
    ['--tls-verify=false', ['--tls-verify=false', '.'], { tlsVerify: false }],
    ['--authfile', ['--authfile', 'auth.json'], { authfile: 'auth.json' }],
    ['--root before the command', ['--root', '/store', 'build', '.'], { root: '/store' }],
    ['--root after the command', ['build', '--root', '/store', '.'], { root: '/store' }],
    ['--root without the command', ['-t', 'a', '--root', '/store', '.'], { root: '/store', tags: ['a'] }],
    ['-o type=oci', ['-o', 'type=oci,dest=a.tar'], { outputs: [{ type: 'oci', dest: 'a.tar' }] }],
    [
      '-o with compression',
      ['-o', 'type=oci,dest=a.tar,compression=uncompressed,force-compression=true'],
      { outputs: [{ type: 'oci', dest: 'a.tar', packing: { compression: 'none', forceCompression: true } }] },
    ],
    ['--compression', ['--compression', 'zstd'], { compression: 'zstd', forceCompression: undefined }],
    [
      "buildah's name",
      ['--compression-format=none', '--force-compression=true'],
      { compression: 'none', forceCompression: true },
    ],
    ['-o quoted', ['-o', 'type=tar,"dest=a,b"'], { outputs: [{ type: 'tar', dest: 'a,b' }] }],
    ['-o DIR', ['-o', 'out'], { outputs: [{ type: 'local', dest: 'out' }] }],
    ['-o -', ['-o', '-'], { outputs: [{ type: 'tar', dest: '-' }] }],
    ['SOURCE_DATE_EPOCH', ['.'], { sourceDateEpoch: 1_700_000_000 }],
    ['--print graph', ['--print', 'graph'], { call: { what: 'graph', format: 'text' } }],
    ['--print outline,format=json', ['--print=outline,format=json'], { call: { what: 'outline', format: 'json' } }],
    ['--check', ['--check'], { call: { what: 'check', format: 'text' } }],
    ['--check --progress json', ['--check', '--progress', 'json'], { call: { what: 'check', format: 'json' } }],
    ['--call=check,format=json', ['--call=check,format=json'], { call: { what: 'check', format: 'json' } }],
    ['--call=build', ['--call=build'], { call: undefined }],
    ['--call targets', ['--call', 'targets'], { call: { what: 'targets', format: 'text' } }],
  ])('%s', async (_name, args, expected) => {
    const { exitCode, calls, stderr } = await runFake(args, { env: { HERE: 'env', SOURCE_DATE_EPOCH: '1700000000' } });
    expect(stderr).not.toContain('error');
    expect(exitCode).toBe(0);
    expect(calls.build?.[0]).toMatchObject(expected);
  });

  it('read --build-arg-file, over which --build-arg wins', async () => {
    const file = join(tempDir(), 'args');
    writeFileSync(file, '# comment\nA=1=2\r\n\nB=file\nHERE\nUNSET\n C=3 \n');
    const args = ['--build-arg', 'B=mine', '--build-arg-file', file, '.'];
    const { calls } = await runFake(args, { env: { HERE: 'env' } });
    expect(calls.build?.[0]).toMatchObject({ buildArgs: { A: '1=2', B: 'mine', HERE: 'env', ' C': '3 ' } });
  });

  it('read the Containerfile from stdin with -f -', async () => {
    const { calls } = await runFake(['-f', '-', '.'], { stdin: 'FROM scratch\n' });
    expect(calls.build?.[0]).toMatchObject({ files: ['-'], stdin: Buffer.from('FROM scratch\n') });
  });

  it('say how to run the same command again', async () => {
    const { calls } = await runFake(['-t', 'a', '.']);
    expect(calls.build?.[0]).toMatchObject({ self: { execPath: '/node', args: ['tsbuild.js', '-t', 'a', '.'] } });
  });
});

describe('secrets and agents', () => {
  const built = async (...args: string[]) => (await runFake([...args, '.'], { env: { SSH_AUTH_SOCK: '/a' } })).calls;

  it.each<[string, object]>([
    ['id=x', { id: 'x' }],
    ['id=x,src=f', { id: 'x', file: 'f' }],
    ['type=file,id=x', { id: 'x', file: 'x' }],
    ['id=x,type=file,source=f', { id: 'x', file: 'f' }],
    ['"id=x","src=a,b"', { id: 'x', file: 'a,b' }],
    ['id=x,env=V', { id: 'x', env: 'V' }],
    ['id=x,type=env', { id: 'x', env: 'x' }],
    ['id=x,type=env,src=V', { id: 'x', env: 'V' }],
  ])('--secret %s', async (text, source) => {
    expect((await built('--secret', text)).build?.[0]).toMatchObject({ secrets: [source] });
  });

  it.each<[string, object]>([
    ['default', { id: 'default', paths: ['/a'] }],
    ['mine', { id: 'mine', paths: ['/a'] }],
    ['mine=/b', { id: 'mine', paths: ['/b'] }],
    ['mine=k1,k2', { id: 'mine', paths: ['k1', 'k2'] }],
  ])('--ssh %s', async (text, identity) => {
    expect((await built('--ssh', text)).build?.[0]).toMatchObject({ ssh: [identity] });
  });
});

describe('a wrong command line ends with 2 and names the way out', () => {
  it.each<[string[], string]>([
    [
      ['--tga', 'a', '.'],
      'error[E_USAGE]: Unknown option "--tga"\nnext: did you mean "--tag"?\nusage: tsbuild build [options] [context]\n',
    ],
    [['build', '--sbom=true', '.'], 'error[E_USAGE]: Option "--sbom" is not built yet\n'],
    [['--secret', 'src=x', '.'], '--secret has no id'],
    [['--secret', 'x', '.'], 'Unknown key "x" in --secret'],
    [['--secret', 'id=x,scr=y', '.'], 'did you mean "src"?'],
    [['--secret', 'id=x,src=', '.'], 'Key "src" in --secret has no value'],
    [['--secret', 'id=x,type=keyring', '.'], 'choose one of: file, env'],
    [['--secret', 'id=x,src=a,env=b', '.'], '--secret id=x has both src and env'],
    [['--ssh', 'default', '.'], 'SSH_AUTH_SOCK is not set\nnext: start one with eval "$(ssh-agent)"'],
    [['--ssh', '=x', '.'], '--ssh "=x" has no id'],
    [['--squash-all', '.'], 'Option "--squash-all" is not built yet'],
    [['imags'], 'did you mean "tsbuild images"?'],
    [['pussh', 'image0'], 'did you mean "tsbuild push"?'],
    [['push'], 'Missing required argument "image"\nusage: tsbuild push'],
    [['-t'], 'Option "-t, --tag <name>" argument missing'],
    [['--network', 'bridge', '.'], 'did you mean --network=private?'],
    [['--network', 'privte', '.'], 'did you mean --network=private?'],
    [['--network', 'wlan', '.'], 'choose one of: default, host, none, private, pasta, slirp4netns'],
    [['--network', 'pasta:--mtu,1500', '.'], 'write --network=pasta; addresses and name servers are set'],
    [['--jobs', '0', '.'], '--jobs "0" is not a whole number above 0'],
    [['--platform', 'linux/amd64,,linux/arm64', '.'], 'has an empty name'],
    [['pull', '--platform', 'linux/amd64,linux/arm64', 'x'], 'only a build takes several'],
    [['--tls-verify=maybe', '.'], '--tls-verify "maybe" is neither true nor false'],
    [['--progress', 'fancy', '.'], '--progress "fancy" is not known'],
    [['-o', 'type=zip,dest=x', '.'], 'Unknown output type "zip"'],
    [['-o', 'type=registry,dest=x', '.'], 'Output type "registry" is not built yet'],
    [['-o', 'type=oci,dest=x,compression-level=3', '.'], 'Unknown key "compression-level"'],
    [['-o', 'type=oci,dest=x,compression=estargz', '.'], 'choose one of: gzip, zstd, none'],
    [['-o', 'type=docker,dest=x,compression=zstd', '.'], 'Output type "docker" has no compression'],
    [['--compression', 'lz4', '.'], '--compression "lz4" is not known'],
    [['-o', 'type=oci', '.'], 'has no destination'],
    [['-o', 'type=local,dest=-', '.'], 'needs a directory'],
    [['-o', 'type=tar,"dest=x', '.'], 'a quote is out of place'],
    [['-o', '-', '-o', 'type=oci,dest=-', '.'], 'Only one output can go to stdout'],
    [['--build-arg', '=x', '.'], 'has no name'],
    [['--build-arg-file', '/no/such/file', '.'], 'Cannot read --build-arg-file "/no/such/file": no such file'],
    [['--build-context', 'x', '.'], 'Build context "x" has no source'],
    [['--build-context', '=x', '.'], 'Build context "=x" has no name'],
    [['-f', '-', '-f', '-', '.'], 'Only one Containerfile can come from stdin'],
    [['prune'], 'nobody is here to answer'],
    [['login', 'quay.io'], 'no terminal to ask'],
  ])('%j', async (args, text) => {
    const { exitCode, stderr, stdout, calls } = await runFake(args);
    expect(stderr).toContain(text);
    expect({ exitCode, stdout, calls }).toEqual({ exitCode: 2, stdout: '', calls: {} });
  });

  it('SOURCE_DATE_EPOCH that is no number', async () => {
    const { exitCode, stderr } = await runFake(['.'], { env: { SOURCE_DATE_EPOCH: 'yesterday' } });
    expect(exitCode).toBe(2);
    expect(stderr).toContain('SOURCE_DATE_EPOCH "yesterday"');
  });

  it('an archive to a terminal', async () => {
    const { exitCode, stderr } = await runFake(['-o', '-', '.'], { isTerminal: true });
    expect(exitCode).toBe(2);
    expect(stderr).toContain('Cannot write an archive to a terminal');
  });
});

describe('stdout carries results only', () => {
  it.each<[string, string[], string]>([
    ['build', ['.'], `${ID}\n`],
    ['build -q', ['-q', '.'], `${ID}\n`],
    ['build to stdout', ['-o', 'type=oci,dest=-', '.'], ''],
    ['pull', ['pull', 'a'], `${ID}\n`],
    ['push', ['push', 'a'], `${ID}\n`],
    ['load', ['load', 'a.tar'], 'localhost/image0:latest\n'],
    ['import', ['import', 'a.tar', 'a'], `${ID}\n`],
    ['images -q', ['images', '-q'], `${ID}\n`],
    ['tag', ['tag', 'a', 'b'], 'localhost/b:latest\n'],
    ['rmi', ['rmi', '-f', 'a'], 'untagged: a\n'],
    ['inspect', ['inspect', 'a', 'b'], '[\n  {\n    "name": "a"\n  },\n  {\n    "name": "a"\n  }\n]\n'],
    ['prune', ['prune', '-af'], '2 removed, 1.5 kB freed\n'],
    ['logout', ['logout', 'quay.io'], 'Logged out\n'],
    ['info', ['info'], 'sandbox: built-in\nnetwork: host\n         next: install pasta\n'],
    [
      'images',
      ['images'],
      'NAME                     IMAGE ID      CREATED           SIZE     PLATFORM\n' +
        'localhost/image0:latest  0123456789ab  2026-01-02 03:04  12.3 MB  linux/amd64\n',
    ],
  ])('%s', async (_name, args, stdout) => {
    expect(await runFake(args)).toMatchObject({ exitCode: 0, stdout });
  });

  it('with images --json as --format json', async () => {
    const { stdout } = await runFake(['images', '--json']);
    expect(JSON.parse(stdout)[0].name).toBe('localhost/image0:latest');
    expect((await runFake(['images', '--format', 'json'])).stdout).toBe(stdout);
  });

  it('and the summary goes to stderr, but not with -q', async () => {
    expect((await runFake(['-t', 'image0', '.'])).stderr).toBe('image0: 3 steps, 1 cached, 40.1 s\n');
    expect((await runFake(['-q', '-t', 'image0', '.'])).stderr).toBe('');
  });
});

describe('the image ID file', () => {
  it('is written whole after success', async () => {
    const path = join(tempDir(), 'id');
    await runFake(['--iidfile', path, '.']);
    expect(readFileSync(path, 'utf8')).toBe(ID);
  });

  it('keeps what it had when the build fails', async () => {
    const directory = tempDir();
    const path = join(directory, 'id');
    writeFileSync(path, 'old');
    const { exitCode } = await runFake(['--iidfile', path, '.'], {
      operations: { build: failing('E_RUN_FAILED', 'No') },
    });
    expect(exitCode).toBe(5);
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(directory)).toEqual(['id']);
  });
});

describe('a command that ran again inside the namespace', () => {
  it('hands on its exit code and says nothing itself', async () => {
    const build = async () => ({ kind: 'delegated', exitCode: 5 }) as const;
    expect(await runFake(['.'], { operations: { build } })).toMatchObject({ exitCode: 5, stdout: '', stderr: '' });
  });

  it('hands on the exit code of a push too', async () => {
    const push = async () => ({ kind: 'delegated', exitCode: 7 }) as const;
    expect(await runFake(['push', 'a'], { operations: { push } })).toMatchObject({ exitCode: 7, stdout: '' });
  });

  it('does not begin the JSON a second time', async () => {
    const { stderr } = await runFake(['--progress=json', '.'], { env: { TSBUILD_REPEATED: '1' } });
    expect(stderr).not.toContain('"format"');
  });
});

describe('login', () => {
  it('takes the password from stdin without its newline', async () => {
    const { calls } = await runFake(['login', '-u', 'me', '--password-stdin', 'quay.io'], { stdin: 'se cret\n' });
    expect(calls.login?.slice(0, 2)).toEqual(['quay.io', { username: 'me', password: 'se cret' }]);
  });

  it('asks for both at a terminal', async () => {
    const { calls, stdout } = await runFake(['login', 'quay.io'], { isTerminal: true, answers: ['me', 'secret'] });
    expect(calls.login?.[1]).toEqual({ username: 'me', password: 'secret' });
    expect(stdout).toBe('Login succeeded\n');
  });
});

describe('help', () => {
  it.each([['--help'], ['build', '--help'], ['help', 'push'], ['images', '-h']])(
    '%s %s goes to stdout',
    async (...args) => {
      const { exitCode, stdout, stderr } = await runFake(args.filter((arg) => arg !== undefined));
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      expect(stdout).toContain('Usage: tsbuild');
      expect(stdout).toContain('Examples:');
    },
  );
});
