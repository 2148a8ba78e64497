import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { hasBase, type Outcome, type Person, people } from '../support/person.ts';
import { mayLack, requires } from '../support/requires.ts';
import { inspect, succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');
const REGISTRY = inject('registry');
const onPath = (program: string): boolean =>
  (process.env.PATH ?? '').split(':').some((directory) => existsSync(join(directory, program)));
const PROGRAMS = ['skopeo', 'umoci'].map((name) => requires(name, onPath(name)));
const CONTAINERFILE = `FROM ${BASE}
RUN mkdir -p /made/deep && echo text > /made/file && ln /made/file /made/hard && ln -s file /made/soft
RUN chown 12:34 /made/file && chmod 4755 /made/file && chmod 1777 /made/deep && rm /bin/wget
COPY --chown=56:78 Containerfile /made/deep/
ENV NAME=value
CMD ["cat", "/made/file"]
`;

const env = { SOURCE_DATE_EPOCH: '1700000000' };

const lines = (text: string): string[] => text.split('\n').filter(Boolean).sort();
const firstError = ({ stderr }: Outcome): string => stderr.trim().split('\n').at(-1) ?? '';

describe.runIf(hasBase() && !PROGRAMS.includes(false)).each(people())('an image that $name pushes', (person) => {
  const remote = `${REGISTRY}/e2e/round-trip-${person.isRoot ? 'root' : 'user'}:1`;
  let space: Workspace;
  let pushed: string;
  let out: string;

  beforeAll(async () => {
    out = person.directory();
    space = workspace(person, { containerfile: CONTAINERFILE });
    await space.build(['-t', 'image0', '-o', `type=tar,dest=${out}/root.tar`], { env });
    pushed = succeeded(await space.tsbuild(['push', 'image0', remote])).stdout.trim();
    const copy = [
      'skopeo',
      '--insecure-policy',
      'copy',
      '--src-tls-verify=false',
      `docker://${remote}`,
      `oci:${out}/layout:1`,
    ];
    succeeded(await person.run(copy));
  });

  it('has the digest that push printed, for skopeo too', async () => {
    const { stdout } = succeeded(await person.run(['skopeo', 'inspect', '--tls-verify=false', `docker://${remote}`]));
    expect(JSON.parse(stdout)).toMatchObject({
      Digest: pushed,
      Architecture: expect.any(String),
      Env: expect.arrayContaining(['NAME=value']),
    });
  });

  it('comes for another platform as it is, with a warning', async () => {
    const { stderr } = succeeded(await workspace(person).tsbuild(['pull', '--platform', 'linux/s390x', remote]));
    expect(stderr).toMatch(/warning: .* is for linux\/\S+, not for linux\/s390x/);
  });

  it('comes back into an empty store with the same digest and layers', async () => {
    const empty = workspace(person);
    succeeded(await empty.tsbuild(['pull', remote]));
    const [there, here] = [await inspect(space, 'image0'), await inspect(empty, remote)];
    expect(here.Digest).toBe(pushed);
    expect([here.Id, here.RootFS]).toEqual([there.Id, there.RootFS]);
    empty.write({ Containerfile: `FROM ${remote}\nRUN cat /made/hard && test ! -e /bin/wget\n` });
    await empty.build(['-t', 'on-top']);
  });

  it('is not sent again when the registry has it: 0 bytes (8.5 #124)', async () => {
    const { stderr, stdout } = succeeded(await space.tsbuild(['push', '--progress', 'json', 'image0', remote]));
    expect(stdout.trim()).toBe(pushed);
    const states = lines(stderr)
      .map((line) => JSON.parse(line))
      .filter(({ type }) => type === 'transfer');
    expect(states.filter(({ state, totalBytes }) => state === 'running' && totalBytes > 0)).toEqual([]);
  });

  it('has the layers of its base mounted from where they came, not sent', async () => {
    const elsewhere = `${remote.replace(/:1$/, '')}-mounted-${process.pid}:1`;
    const { stderr } = succeeded(await space.tsbuild(['push', '--progress', 'json', 'image0', elsewhere]));
    expect(lines(stderr).map((line) => JSON.parse(line).state)).toContain('mounted');
  });

  it('unpacks with umoci to the tree that was built', async () => {
    const rootless = person.isRoot ? [] : ['--rootless'];
    succeeded(await person.run(['umoci', 'unpack', ...rootless, '--image', `${out}/layout:1`, `${out}/bundle`]));
    succeeded(await person.run(['sh', '-c', `mkdir ${out}/tree && tar -C ${out}/tree -xpf ${out}/root.tar`]));
    const owners = person.isRoot ? ' %U %G' : '';
    // umoci leaves directories the time at which it put files into them
    const format = `%p %y %m %n %l${owners}`;
    const find = [
      'find',
      '.',
      '-mindepth',
      '1',
      '-type',
      'd',
      '-printf',
      `${format}\\n`,
      '-o',
      '-printf',
      `${format} %T@\\n`,
    ];
    const tree = async (cwd: string): Promise<string[]> => lines(succeeded(await person.run(find, { cwd })).stdout);
    expect(await tree(`${out}/bundle/rootfs`)).toEqual(await tree(`${out}/tree`));
  });

  it('runs with podman where the kernel lets it', async () => {
    const podman = podmanOf(person, out);
    const probe = await podman('run', '--rm', '--network=none', '--tls-verify=false', BASE, 'true');
    if (!mayLack(`podman run as ${person.name}: ${firstError(probe)}`, probe.status === 0)) return;
    expect(succeeded(await podman('run', '--rm', '--network=none', '--tls-verify=false', remote)).stdout).toBe(
      'text\n',
    );
  });

  it('pulls with podman to the same layers', async () => {
    const podman = podmanOf(person, out);
    const pull = await podman('pull', '--tls-verify=false', remote);
    if (!requires(`podman pull as ${person.name}: ${firstError(pull)}`, pull.status === 0)) return;
    const [image] = JSON.parse(succeeded(await podman('image', 'inspect', remote)).stdout);
    expect(image).toMatchObject({ Digest: pushed, RootFS: (await inspect(space, 'image0')).RootFS });
  });

  it('is a base for buildah', async () => {
    const buildah = (...args: readonly string[]): Promise<Outcome> =>
      person.run(['buildah', '--root', `${out}/c`, '--runroot', `${out}/r`, '--storage-driver', 'vfs', ...args]);
    const from = await buildah('from', '--tls-verify=false', remote);
    if (!mayLack(`buildah from as ${person.name}: ${firstError(from)}`, from.status === 0)) return;
    const container = from.stdout.trim();
    const script = `cat "$(buildah --root ${out}/c --runroot ${out}/r --storage-driver vfs mount ${container})/made/hard"`;
    const enter = person.isRoot ? [] : ['buildah', '--root', `${out}/c`, '--runroot', `${out}/r`, 'unshare'];
    expect(succeeded(await person.run([...enter, 'sh', '-c', script])).stdout).toBe('text\n');
    succeeded(await buildah('rm', container));
  });

  it('loads into docker where a daemon answers', async () => {
    const answer = onPath('docker') ? await person.run(['docker', 'info']) : undefined;
    if (!mayLack(`a docker daemon for ${person.name}`, answer?.status === 0)) return;
    const name = `tsbuild-e2e-${process.pid}:1`;
    await space.build(['-t', name, '-o', `type=docker,dest=${out}/docker.tar`]);
    succeeded(await person.run(['docker', 'load', '-i', `${out}/docker.tar`]));
    expect(succeeded(await person.run(['docker', 'image', 'inspect', `localhost/${name}`])).stdout).toContain(
      'NAME=value',
    );
    await person.run(['docker', 'rmi', `localhost/${name}`]);
  });
});

function podmanOf(person: Person, out: string): (...args: readonly string[]) => Promise<Outcome> {
  const storage = ['--root', `${out}/storage`, '--runroot', `${out}/run`, '--storage-driver', 'vfs'];
  return (...args) =>
    onPath('podman')
      ? person.run(['podman', ...storage, '--cgroup-manager', 'cgroupfs', ...args])
      : Promise.resolve({ status: 127, stdout: '', stderr: 'podman is not installed' });
}
