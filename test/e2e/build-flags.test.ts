import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { mayLack } from '../support/requires.ts';
import { inspect, succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');
const REGISTRY = inject('registry');

async function fileOf(space: Workspace, path: string, args: readonly string[]): Promise<string> {
  const tar = `${space.store}/out.tar`;
  await space.build([...args, '-o', `type=tar,dest=${tar}`]);
  return (await space.person.run(['tar', '-xOf', tar, path])).stdout;
}

describe.runIf(hasBase()).each(people())('options of build that $name gives', (person) => {
  const project = (text: string): Workspace => workspace(person, { containerfile: `FROM ${BASE}\n${text}\n` });

  it('set what RUN sees and the image keeps', async () => {
    const space = project('RUN echo "$A $B" > /seen\nENV B=file');
    expect(await fileOf(space, 'seen', ['--env=A=1', '--env=B=option', '-t', 'x'])).toBe('1 option\n');
    expect((await inspect(space, 'x')).Config).toMatchObject({ Env: expect.arrayContaining(['A=1', 'B=file']) });
    await space.build(['--env=A=1', '--unsetenv=A', '--label=a=1', '--label=b', '--unsetlabel=a', '-t', 'y']);
    const { Config } = await inspect(space, 'y');
    expect(Config.Labels).toMatchObject({ b: '' });
    expect(Config.Labels).not.toHaveProperty('a');
    expect((Config.Env as string[]).filter((entry) => entry.startsWith('A='))).toEqual([]);
  });

  it('write annotations and the platform of an image without steps', async () => {
    const space = workspace(person, { containerfile: 'FROM scratch\n' });
    const out = `${space.store}/layout.tar`;
    const options = ['--annotation=a=1,b=2', '--created-annotation', '--source-date-epoch=60', '--arch=arm'];
    await space.build([...options, '--os-version=1.0', '--os-feature=win32k', '-o', `type=oci,dest=${out}`]);
    const read = async (digest: string) =>
      JSON.parse((await person.run(['tar', '-xOf', out, `blobs/${digest.replace(':', '/')}`])).stdout);
    const index = JSON.parse((await person.run(['tar', '-xOf', out, 'index.json'])).stdout);
    const manifest = await read(index.manifests[0].digest);
    expect(manifest.annotations).toEqual({ a: '1,b=2', 'org.opencontainers.image.created': '1970-01-01T00:01:00Z' });
    expect(await read(manifest.config.digest)).toMatchObject({
      architecture: 'arm',
      variant: 'v7',
      'os.version': '1.0',
      'os.features': ['win32k'],
    });
  });

  it('give every new file the time of --timestamp, and no file a later one than --source-date-epoch', async () => {
    const space = project('COPY Containerfile /copied\nARG SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH > /made');
    const out = person.directory();
    await space.build(['--timestamp=60', '-o', out]);
    expect(['copied', 'made', 'bin'].map((name) => statSync(join(out, name)).mtimeMs)).toEqual([
      60_000, 60_000, 60_000,
    ]);
    expect(readFileSync(join(out, 'made'), 'utf8')).toBe('\n');
    expect(await fileOf(space, 'made', ['--source-date-epoch=90'])).toBe('90\n');
    const { stdout } = await person.run(['tar', '-tvf', `${space.store}/out.tar`, '--utc', '--full-time', 'copied']);
    expect(stdout).toContain('1970-01-01 00:01:30');
  });

  it('give the same bytes again for the same SOURCE_DATE_EPOCH, wherever it is said (8.5 #123)', async () => {
    const containerfile = `ARG SOURCE_DATE_EPOCH=90\nFROM ${BASE}\nRUN echo > /made\nCOPY Containerfile /\n`;
    const ids = await Promise.all(
      [['--source-date-epoch=90'], ['--build-arg=SOURCE_DATE_EPOCH=90'], []].map(async (args) => {
        const space = workspace(person, { containerfile });
        return (await space.build([...args, '-q'])).stdout;
      }),
    );
    expect(new Set(ids).size).toBe(1);
  });

  it('squash all layers into one, without what a step removed', async () => {
    const space = project('RUN echo 1 > /a && ln /a /b\nRUN rm -r /home; echo 2 > /c');
    await space.build(['--squash', '-t', 'flat']);
    expect((await inspect(space, 'flat')).RootFS.Layers).toHaveLength(1);
    const containerfile = 'FROM flat\nRUN cat /a /b /c > /all; ls -d /home || true\n';
    const other = workspace(person, { store: space.store, containerfile });
    expect(await fileOf(other, 'all', [])).toBe('1\n1\n2\n');
    const names = (await person.run(['tar', '-tf', `${space.store}/out.tar`])).stdout.split('\n');
    expect(names).toContain('bin/');
    expect(names).not.toContain('home/');
  });

  it('push, and say in files what was made (8.5 #129)', async () => {
    const space = project('RUN echo 1 > /a');
    const name = `${REGISTRY}/e2e/pushed-${person.isRoot ? 'root' : 'user'}:1`;
    const [id, raw, metadata] = ['id', 'raw', 'metadata'].map((file) => join(space.store, file));
    const files = ['--iidfile', `${id}`, '--iidfile-raw', `${raw}`, '--metadata-file', `${metadata}`];
    const { stdout } = await space.build(['-t', name, '--push', '--load', ...files]);
    const imageId = stdout.trim();
    expect(readFileSync(`${id}`, 'utf8')).toBe(imageId);
    expect(readFileSync(`${raw}`, 'utf8')).toBe(imageId.slice('sha256:'.length));
    const written = JSON.parse(readFileSync(`${metadata}`, 'utf8'));
    expect(written).toMatchObject({
      'containerimage.config.digest': imageId,
      'containerimage.descriptor': { mediaType: 'application/vnd.oci.image.manifest.v1+json' },
      'image.name': name,
    });
    const other = workspace(person);
    succeeded(await other.tsbuild(['pull', name]));
    expect((await inspect(other, name)).Digest).toBe(written['containerimage.digest']);
  });

  it('take a base image from the store only, or say that it is not there', async () => {
    const space = project('LABEL a=1');
    const { status, stderr } = await space.tryBuild(['--pull=never']);
    expect([status, stderr]).toEqual([9, expect.stringContaining('--pull=never forbids to fetch it')]);
    await space.build(['--pull=newer']);
    await space.build(['--pull=never']);
  });

  it('build for the base image that --from names', async () => {
    const space = workspace(person, { containerfile: 'FROM no.such.registry.invalid/nothing\nRUN echo 1 > /a\n' });
    expect(await fileOf(space, 'a', ['--from', BASE])).toBe('1\n');
  });

  it('change the sandbox: capabilities, limits, hosts, name servers, /dev/shm', async () => {
    const space = project(
      'RUN (grep -E "CapBnd|NoNewPrivs" /proc/self/status; ulimit -n; ulimit -Hn; cat /etc/hosts /etc/resolv.conf; df -k /dev/shm) > /seen',
    );
    const seen = await fileOf(space, 'seen', [
      ...['--cap-drop=all', '--cap-add', 'cap_net_admin,CHOWN', '--security-opt=no-new-privileges'],
      ...['--ulimit=nofile=100:200', '--shm-size=1m', '--add-host=db:10.0.0.7', '--add-host', 'me=host-gateway'],
      ...['--dns=192.0.2.1', '--dns-search=.', '--dns-option=ndots:2', '--security-opt', 'label=disable'],
    ]);
    expect(seen).toContain('0000000000001001');
    expect(seen).toMatch(/NoNewPrivs:\s*1\n100\n200\n/);
    expect(seen).toContain('10.0.0.7\tdb\n127.0.0.1\tme\n');
    expect(seen).toContain('nameserver 192.0.2.1\noptions ndots:2\n');
    expect(seen).not.toContain('search');
    expect(seen).toMatch(/shm\s+1024 /);
  });

  it('make a step run again when they may change its result, and only then', async () => {
    const space = project('RUN true');
    await space.build([]);
    const isCached = async (args: readonly string[]) => /1 cached/.test((await space.build(args)).stderr);
    expect(await isCached(['--dns=192.0.2.1', '--shm-size=1m', '--http-proxy'])).toBe(true);
    expect(await isCached(['--cap-add=SYS_PTRACE'])).toBe(false);
    expect(await isCached(['--ulimit=core=0'])).toBe(false);
    expect(await isCached(['--add-host=a:10.0.0.1'])).toBe(false);
    expect(await isCached(['--add-host=a:10.0.0.2'])).toBe(true);
  });

  it('mount directories and files of this machine, which are not in the layer', async () => {
    const space = project('RUN cat /host/in /file > /seen; echo x > /host/in 2>/dev/null || echo read-only >> /seen');
    const host = person.directory();
    person.write(host, { in: 'in\n', file: 'file\n' });
    const volumes = ['-v', `${host}:/host:ro`, `--volume=${host}/file:/file`];
    expect(await fileOf(space, 'seen', [...volumes, '--mount=type=tmpfs,target=/tmpfs'])).toBe('in\nfile\nread-only\n');
    const names = (await person.run(['tar', '-tf', `${space.store}/out.tar`])).stdout.split('\n');
    expect(names.filter((name) => /^(host|file|tmpfs)/.test(name))).toEqual([]);
    const writing = project('RUN echo made > /host/out');
    await writing.build(['-v', `${host}:/host`]);
    expect(readFileSync(join(host, 'out'), 'utf8')).toBe('made\n');
  });

  it("show the caller's proxies to RUN only when asked", async () => {
    const space = project('RUN echo "$https_proxy" > /seen');
    const env = { https_proxy: 'http://proxy.invalid:1' };
    const tar = `${space.store}/proxy.tar`;
    const seen = async (args: readonly string[]) => {
      await space.build([...args, '--no-cache', '--pull=never', '-o', `type=tar,dest=${tar}`], { env });
      return (await person.run(['tar', '-xOf', tar, 'seen'])).stdout;
    };
    await space.build([]);
    expect(await seen([])).toBe('\n');
    expect(await seen(['--http-proxy'])).toBe('http://proxy.invalid:1\n');
  });

  it('refuse limits that nobody would enforce, where a RUN has to run', async () => {
    const { status, stderr } = await project('RUN true').tryBuild(['--memory=1g']);
    // what a delegated cgroup does is shown by test/executor/sandbox/cgroup.test.ts
    if (mayLack('a delegated cgroup v2 with the memory controller', status === 0)) return;
    expect([status, stderr]).toEqual([6, expect.stringMatching(/Cannot keep --memory: .*\n[\s\S]*next: /)]);
    await project('LABEL a=1').build(['--memory=1g', '-c', '2', '--memory-swap=-1', '--cpuset-cpus=0-1']);
  });

  it('refuse what is no capability, and a limit above what this machine allows', async () => {
    const bad = await project('RUN true').tryBuild(['--cap-add=FLY']);
    expect([bad.status, bad.stderr]).toEqual([2, expect.stringContaining('--cap-add "FLY" is no capability')]);
    const high = await project('RUN true').tryBuild(['--ulimit=nofile=99999999999']);
    expect([high.status, high.stderr]).toEqual([6, expect.stringContaining('Cannot set --ulimit nofile')]);
  });
});
