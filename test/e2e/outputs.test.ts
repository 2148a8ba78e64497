import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { detectCompression } from '../../src/layers/compression.ts';
import { hasBase, type Person, people } from '../support/person.ts';
import { inspect, succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');
const CONTAINERFILE = `FROM ${BASE}
RUN mkdir /made && echo text > /made/file && chown 12:34 /made/file && chmod 4755 /made/file && ln -s file /made/link
COPY Containerfile /made/
`;
const COMMANDS = 'build pull push load import images tag rmi inspect login logout prune info version'.split(' ');

/** One built image, which the tests of one person only read. */
async function built(person: Person): Promise<Workspace> {
  const space = workspace(person, { containerfile: CONTAINERFILE });
  await space.build(['-t', 'image0']);
  return space;
}

describe.runIf(hasBase()).each(people())('outputs of $name', (person) => {
  let space: Workspace;
  let out: string;

  beforeAll(async () => {
    space = await built(person);
    out = person.directory();
  });

  const layersOf = async (from: Workspace, name: string) => (await inspect(from, name)).RootFS.Layers;

  it.each(['oci', 'docker'])('-o type=%s is an archive that loads into another store', async (type) => {
    const file = join(out, `${type}.tar`);
    await space.build(['-t', 'image0', '-o', `type=${type},dest=${file}`]);
    const other = workspace(person);
    const { stdout } = succeeded(await other.tsbuild(['load', file]));
    expect(stdout).toContain('localhost/image0:latest');
    expect(await layersOf(other, 'image0')).toEqual(await layersOf(space, 'image0'));
    const { stdout: printed } = succeeded(
      await person.run(['sh', '-c', `"$@" 2>/dev/null | cmp - ${file} && echo same`, 'sh', ...command(type)]),
    );
    expect(printed).toBe('same\n');
  });

  const command = (type: string): readonly string[] => {
    const output = ['-t', 'image0', '-o', `type=${type},dest=-`];
    return [process.execPath, inject('installed'), '--root', space.store, 'build', ...output, space.context];
  };

  it('-o type=local gives files that are his, with their modes', async () => {
    const directory = join(out, 'local');
    await space.build(['-o', directory]);
    const file = statSync(join(directory, 'made/file'));
    expect(file.mode & 0o7777).toBe(0o4755);
    const [uid, gid] = person.isRoot ? [12, 34] : [statSync(out).uid, statSync(out).gid];
    expect([file.uid, file.gid]).toEqual([uid, gid]);
    expect(readFileSync(join(directory, 'made/link'), 'utf8')).toBe('text\n');
    expect(readFileSync(join(directory, 'made/Containerfile'), 'utf8')).toBe(CONTAINERFILE);
  });

  it('-o type=tar is one tar of the whole file system', async () => {
    const file = join(out, 'root.tar');
    await space.build(['-o', `type=tar,dest=${file}`]);
    const { stdout } = succeeded(await person.run(['tar', '--numeric-owner', '-tvf', file]));
    expect(stdout).toMatch(/^-rwsr-xr-x 12\/34 +5 .* made\/file$/m);
    expect(stdout).toMatch(/^drwx------ 0\/0 .* root\/$/m);
    expect(stdout).toMatch(/ made\/link -> file$/m);
    expect(stdout).toMatch(/^drwxrwxrwt 0\/0 .* tmp\/$/m);
  });

  it.each([
    ['oci:', 'layout:tag', 'layout'],
    ['oci-archive:', 'pushed-oci.tar:tag', 'pushed-oci.tar'],
    ['docker-archive:', 'pushed-docker.tar:image0:tag', 'pushed-docker.tar'],
  ])('push to %s loads back', async (scheme, destination, path) => {
    const { stdout } = succeeded(await space.tsbuild(['push', 'image0', `${scheme}${join(out, destination)}`]));
    expect(stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    const other = workspace(person);
    const loaded = succeeded(await other.tsbuild(['load', '-i', join(out, path)])).stdout.trim();
    const id = succeeded(await other.tsbuild(['images', '-q'])).stdout.trim();
    expect(loaded).not.toBe('');
    expect(await layersOf(other, id)).toEqual(await layersOf(space, 'image0'));
  });

  describe('--compression', () => {
    /** What a layout says of the image's layers, and that it loads. */
    async function packed(args: readonly string[]): Promise<readonly string[]> {
      const layout = join(out, `layout-${args.join('')}`);
      succeeded(await space.tsbuild(['push', 'image0', `oci:${layout}`, ...args]));
      const other = workspace(person);
      succeeded(await other.tsbuild(['load', layout]));
      const id = succeeded(await other.tsbuild(['images', '-q'])).stdout.trim();
      expect(await layersOf(other, id)).toEqual(await layersOf(space, 'image0'));
      const read = (digest: string) => readFileSync(join(layout, 'blobs', digest.replace(':', '/')));
      const index: Listed = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
      const manifest: Listed = JSON.parse(String(read(index.manifests?.[0]?.digest ?? '')));
      return (manifest.layers ?? []).map(({ mediaType, digest }) => {
        const kind = detectCompression(read(digest));
        expect(mediaType.endsWith(kind === 'none' ? '.tar' : `+${kind}`)).toBe(true);
        return kind;
      });
    }

    interface Listed {
      readonly manifests?: readonly { readonly digest: string }[];
      readonly layers?: readonly { readonly mediaType: string; readonly digest: string }[];
    }

    it('is that of the layers built here, with force of all, whatever was made before', async () => {
      const base = (await layersOf(space, 'image0')).length - 2;
      const own = (kind: string) => [kind, kind];
      const [first] = await packed([]);
      const kept = Array<string | undefined>(base).fill(first);
      expect(await packed(['--compression', 'zstd'])).toEqual([...kept, ...own('zstd')]);
      expect(await packed(['--compression', 'gzip'])).toEqual([...kept, ...own('gzip')]);
      expect(new Set(await packed(['--compression', 'none', '--force-compression']))).toEqual(new Set(['none']));
      expect(new Set(await packed(['--compression=zstd', '--force-compression']))).toEqual(new Set(['zstd']));
    });

    it('is refused where a format has none', async () => {
      const zstd = ['--compression', 'zstd'];
      const docker = await space.tsbuild(['push', 'image0', `oci:${join(out, 'none')}`, '--format', 'docker', ...zstd]);
      expect(docker.stderr).toContain('The Docker format has no zstd layers');
      const archive = await space.tsbuild(['push', 'image0', `docker-archive:${join(out, 'none.tar')}`, ...zstd]);
      expect(archive.stderr).toContain('A Docker archive has no zstd layers');
      expect([docker.status, archive.status, existsSync(join(out, 'none.tar'))]).toEqual([3, 3, false]);
    });
  });

  it('images, tag and rmi agree on names', async () => {
    const own = await built(person);
    expect(succeeded(await own.tsbuild(['tag', 'image0', 'quay.io/me/other:1'])).stdout).toBe('quay.io/me/other:1\n');
    const table = succeeded(await own.tsbuild(['images'])).stdout;
    expect(table).toMatch(/^quay\.io\/me\/other:1 +[0-9a-f]{12} /m);
    const listed: readonly unknown[] = JSON.parse(succeeded(await own.tsbuild(['images', '--json'])).stdout);
    expect(listed.length).toBeGreaterThan(0);
    succeeded(await own.tsbuild(['rmi', 'image0']));
    expect((await own.tsbuild(['inspect', 'image0'])).status).toBe(9);
    expect((await inspect(own, 'quay.io/me/other:1')).Names).toEqual(['quay.io/me/other:1']);
    const missing = await own.tsbuild(['rmi', 'nothing']);
    expect(missing).toMatchObject({ status: 9, stdout: '' });
    expect(missing.stderr).toContain('"nothing"');
  });

  it('prune -a frees everything once no image has a name', async () => {
    const own = await built(person);
    const ids = succeeded(await own.tsbuild(['images', '-q']))
      .stdout.trim()
      .split('\n');
    succeeded(await own.tsbuild(['rmi', '-f', ...new Set(ids)]));
    succeeded(await own.tsbuild(['prune', '-af']));
    for (const name of ['layers', 'blobs/sha256', 'cache', 'active', 'ingest', 'images', 'tags'])
      expect({ name, left: readdirSync(join(own.store, name)) }).toEqual({ name, left: [] });
    await own.build(['-t', 'image0']);
  });

  it('prune keeps what an image needs', async () => {
    const own = await built(person);
    succeeded(await own.tsbuild(['prune', '-f']));
    expect((await own.build(['-t', 'image0'])).stderr).toContain(', all cached, ');
  });

  it('info says which sandbox is used', async () => {
    const { stdout } = succeeded(await space.tsbuild(['info']));
    expect(stdout).toContain(space.store);
    expect(stdout).toMatch(/user namespaces: +available/);
    expect(stdout).toMatch(/user ids: +\d+ uids/);
  });

  it('import makes an image whose layer is the tar', async () => {
    const own = workspace(person);
    own.write({ 'root/etc/motd': 'hello\n' });
    succeeded(await person.run(['tar', '-C', join(own.context, 'root'), '-czf', join(own.context, 'root.tgz'), '.']));
    succeeded(await own.tsbuild(['import', join(own.context, 'root.tgz'), 'mine']));
    own.write({ Containerfile: 'FROM mine\nCOPY Containerfile /c\n' });
    await own.build(['-o', join(own.context, 'result')]);
    expect(readFileSync(join(own.context, 'result/etc/motd'), 'utf8')).toBe('hello\n');
  });
});

describe('help', () => {
  const [person] = people();
  it.each(COMMANDS)('is there for %s, on stdout', async (name) => {
    const outcome = await person?.tsbuild([name, '--help']);
    expect(outcome).toMatchObject({ status: 0, stderr: '' });
    expect(outcome?.stdout).toMatch(new RegExp(`^Usage: tsbuild ${name} `));
  });
});
