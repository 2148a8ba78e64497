import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { requires } from '../support/requires.ts';
import { type Inspected, inspect, succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');
const REGISTRY = inject('registry');
const BOTH = ['--platform', 'linux/arm64,linux/amd64'];
const ORDER = ['linux/arm64', 'linux/amd64'];

/** Its programs are this machine's, whatever the platform that is asked for. */
const CONTAINERFILE = `FROM --platform=$BUILDPLATFORM ${BASE} AS build
RUN echo for all > /all
ARG TARGETPLATFORM
ARG TARGETARCH
RUN echo "$TARGETPLATFORM" > /own && echo "target $TARGETARCH"
FROM ${BASE}
COPY --from=build /all /own /made/
ARG TARGETARCH
RUN echo "$TARGETARCH" > /made/arch
CMD ["cat", "/made/own"]
`;

const env = { SOURCE_DATE_EPOCH: '1700000000' };
const hasSkopeo = requires('skopeo', existsSync('/usr/bin/skopeo'));

interface IndexDocument {
  readonly mediaType: string;
  readonly manifests: readonly {
    readonly mediaType: string;
    readonly digest: string;
    readonly platform?: { readonly os: string; readonly architecture: string };
  }[];
}

interface InspectedIndex extends Inspected {
  readonly Images: readonly (Inspected & { readonly Os: string; readonly Architecture: string })[];
}

const platformsOf = ({ manifests }: IndexDocument): readonly string[] =>
  manifests.map(({ platform }) => `${platform?.os}/${platform?.architecture}`);

const inspectIndex = async (space: Workspace, name: string): Promise<InspectedIndex> =>
  (await inspect(space, name)) as InspectedIndex; // what inspect prints of an index

/** The manifest or index of a name in the registry. */
async function manifestOf(name: string): Promise<{ readonly document: IndexDocument; readonly digest: string | null }> {
  const [repository, tag] = name.replace(`${REGISTRY}/`, '').split(':');
  const types = ['oci.image.index.v1', 'oci.image.manifest.v1', 'docker.distribution.manifest.list.v2'];
  const accept = types.map((type) => `application/vnd.${type}+json`).join(', ');
  const response = await fetch(`http://${REGISTRY}/v2/${repository}/manifests/${tag}`, { headers: { accept } });
  const document = (await response.json()) as IndexDocument; // what we pushed
  return { document, digest: response.headers.get('docker-content-digest') };
}

/** The index that an OCI archive holds, and how its index.json names it. */
async function archivedIndex(space: Workspace, file: string) {
  const read = async (path: string) =>
    JSON.parse(succeeded(await space.person.run(['tar', '-xOf', file, path])).stdout);
  const { manifests } = await read('index.json');
  const [entry] = manifests;
  const document: IndexDocument = await read(`blobs/sha256/${entry.digest.replace('sha256:', '')}`);
  return { entry, document };
}

describe.runIf(hasBase()).each(people())('an image for several platforms, built by $name', (person) => {
  const remote = (name: string): string => `${REGISTRY}/e2e/platforms-${person.isRoot ? 'root' : 'user'}-${name}`;
  let space: Workspace;
  let out: string;
  let progress: string;
  let id: string;

  beforeAll(async () => {
    out = person.directory();
    space = workspace(person, { containerfile: CONTAINERFILE });
    const made = await space.build([...BOTH, '-t', 'app', '--iidfile', join(out, 'id')], { env });
    progress = made.stderr;
    id = made.stdout.trim();
  });

  it('is one index, in the order given, which stdout, --iidfile, images and inspect tell of', async () => {
    expect(readFileSync(join(out, 'id'), 'utf8')).toBe(id);
    const { Id, Digest, MediaType, Names, Images } = await inspectIndex(space, 'app');
    expect([Id, Digest]).toEqual([id, id]);
    expect(MediaType).toBe('application/vnd.oci.image.index.v1+json');
    expect(Names).toEqual(['localhost/app:latest']);
    expect(Images.map(({ Os, Architecture }) => `${Os}/${Architecture}`)).toEqual(ORDER);
    const { stdout } = succeeded(await space.tsbuild(['images', '--json']));
    const rows: readonly { readonly name: string; readonly imageId: string; readonly platform: string }[] =
      JSON.parse(stdout);
    expect(rows.filter(({ name }) => !name.includes('busybox'))).toMatchObject([
      { name: 'localhost/app:latest', imageId: id, platform: 'linux/arm64,linux/amd64' },
    ]);
  });

  it('says the platform of each step, and runs what they share once', () => {
    const titles = progress.split('\n').filter((line) => /^#\d+ \[/.test(line));
    expect(titles.filter((line) => line.includes('echo for all'))).toHaveLength(1);
    expect(titles.join('\n')).toMatch(/\[linux\/arm64 1 2\/2\] RUN echo "\$TARGETARCH"/);
    expect(titles.join('\n')).toMatch(/\[linux\/amd64 1 2\/2\] RUN echo "\$TARGETARCH"/);
    expect(titles.filter((line) => line.includes('TARGETPLATFORM'))).toHaveLength(2);
    expect(progress).toContain('| target arm64\n');
    expect(progress).toContain('| target amd64\n');
    expect(progress).toContain('app: 7 steps, none cached');
  });

  it('has the same digest from the cache, and built anew elsewhere', async () => {
    const cached = await space.build([...BOTH, '-t', 'app'], { env });
    expect(cached.stderr).toContain('7 steps, all cached');
    const other = workspace(person, { containerfile: CONTAINERFILE });
    const anew = await other.build(['-q', '--platform', 'linux/arm64', '--platform', 'linux/amd64', '--jobs', '1'], {
      env,
    });
    expect([cached.stdout.trim(), anew.stdout.trim()]).toEqual([id, id]);
  });

  it('counts a platform once, and one platform makes an image', async () => {
    const twice = ['--platform', 'linux/amd64,linux/x86_64', '--platform=linux/arm64/v8', ...BOTH];
    const { stdout } = await space.build([...twice, '-q'], { env });
    const { Images } = await inspectIndex(space, stdout.trim());
    expect(Images.map(({ Architecture }) => Architecture)).toEqual(['amd64', 'arm64']);
    const single = await space.build(['--platform', 'linux/arm64,linux/arm64', '-q', '-t', 'single'], { env });
    expect(await inspect(space, single.stdout.trim())).toMatchObject({ Architecture: 'arm64' });
  });

  it('goes to a registry and back, an index after its images', async () => {
    const name = remote('app:1');
    const pushed = succeeded(await space.tsbuild(['push', 'app', name]));
    const { document, digest } = await manifestOf(name);
    expect(digest).toBe(pushed.stdout.trim());
    expect(platformsOf(document)).toEqual(ORDER);
    const again = succeeded(await space.tsbuild(['push', 'app', name]));
    expect(again.stdout).toBe(pushed.stdout);
    expect(again.stderr).not.toMatch(/push sha256:\w+ (?!already there\n)/);
    const pulled = workspace(person);
    succeeded(await pulled.tsbuild(['pull', '--platform', 'linux/arm64', name]));
    expect(await inspect(pulled, name)).toMatchObject({ Architecture: 'arm64', Digest: document.manifests[0]?.digest });
    const one = succeeded(await space.tsbuild(['push', '--platform', 'linux/arm64', 'app', remote('one:1')]));
    expect(one.stdout.trim()).toBe(document.manifests[0]?.digest);
  });

  it.runIf(hasSkopeo)('is read by skopeo, from a registry and from an archive', async () => {
    const file = join(out, 'skopeo.tar');
    const name = remote('skopeo:1');
    await space.build([...BOTH, '-t', name, '--push', '-o', `type=oci,dest=${file}`], { env });
    const copy = ['skopeo', '--insecure-policy', 'copy', '--all', '--src-tls-verify=false'];
    succeeded(await person.run([...copy, `docker://${name}`, `oci:${out}/from-registry:1`]));
    succeeded(await person.run([...copy, `oci-archive:${file}:1`, `oci:${out}/from-archive:1`]));
    const read = (layout: string): string => readFileSync(join(out, layout, 'index.json'), 'utf8');
    expect(JSON.parse(read('from-archive')).manifests[0].digest).toBe((await manifestOf(name)).digest);
    expect(JSON.parse(read('from-registry')).manifests[0].digest).toBe((await manifestOf(name)).digest);
  });

  it.each([
    ['-o type=oci', (file: string) => ['build', ...BOTH, '-t', 'app:2', '-o', `type=oci,dest=${file}`]],
    ['push oci-archive:', (file: string) => ['push', 'app:2', `oci-archive:${file}`]],
  ])('%s writes one entry, the index, which loads', async (what, args) => {
    const file = join(out, `${what.replace(/\W/g, '')}.tar`);
    const context = what.startsWith('-o') ? [space.context] : [];
    succeeded(await space.tsbuild([...args(file), ...context], { env }));
    const { entry, document } = await archivedIndex(space, file);
    expect(entry.mediaType).toBe('application/vnd.oci.image.index.v1+json');
    expect(entry.annotations).toMatchObject({ 'org.opencontainers.image.ref.name': '2' });
    expect(platformsOf(document)).toEqual(ORDER);
    const other = workspace(person);
    expect(succeeded(await other.tsbuild(['load', file])).stdout).toBe('localhost/app:2\n');
    expect((await inspectIndex(other, 'app:2')).Digest).toBe(entry.digest);
  });

  it('goes into a layout', async () => {
    const { stdout } = succeeded(await space.tsbuild(['push', 'app', `oci:${join(out, 'layout')}:1`]));
    const index = JSON.parse(readFileSync(join(out, 'layout/index.json'), 'utf8'));
    expect(index.manifests).toMatchObject([{ digest: stdout.trim() }]);
    space.write({ 'from-layout': `FROM oci:${join(out, 'layout')}:1\nLABEL a=b\n` });
    const args = ['-q', '-f', join(space.context, 'from-layout'), '--platform', 'linux/arm64'];
    const built = await space.build(args, { env });
    expect(await inspect(space, built.stdout.trim())).toMatchObject({ Architecture: 'arm64' });
  });

  it('does not fit into a Docker archive: one platform does', async () => {
    const file = join(out, 'docker.tar');
    const built = await space.tryBuild([...BOTH, '-o', `type=docker,dest=${file}`], { env });
    expect(built).toMatchObject({ status: 2, stderr: expect.stringContaining('Choose one with --platform') });
    const pushed = await space.tsbuild(['push', 'app', `docker-archive:${file}`]);
    expect(pushed.status).not.toBe(0);
    expect(pushed.stderr).toContain('Choose one with --platform: linux/arm64, linux/amd64');
    expect(existsSync(file)).toBe(false);
    succeeded(await space.tsbuild(['push', '--platform', 'linux/amd64', 'app', `docker-archive:${file}`]));
    expect(existsSync(file)).toBe(true);
  });

  it('is a directory for each platform in -o type=local and type=tar', async () => {
    const directory = join(out, 'local');
    const file = join(out, 'files.tar');
    await space.build([...BOTH, '-o', directory, '-o', `type=tar,dest=${file}`], { env });
    const own = (platform: string): string => readFileSync(join(directory, platform, 'made/own'), 'utf8');
    expect([own('linux_arm64'), own('linux_amd64')]).toEqual(['linux/arm64\n', 'linux/amd64\n']);
    const { stdout } = succeeded(await person.run(['tar', '-xOf', file, 'linux_arm64/made/arch']));
    expect(stdout).toBe('arm64\n');
  });

  it('runs as the image of this machine, and is compared with another of its platform', async () => {
    const { stdout } = succeeded(await space.tsbuild(['run', '--rm', 'app']));
    expect(ORDER).toContain(stdout.trim());
    const other = ORDER.find((platform) => platform !== stdout.trim()) ?? '';
    await space.build(['--platform', other, '-t', 'other'], { env });
    const compare = ['diff', '--exit-code', 'app', 'other'];
    succeeded(await space.tsbuild([...compare, '--platform', other]));
    const { status, stdout: differences } = await space.tsbuild(compare);
    expect({ status, differences }).toMatchObject({ status: 1, differences: expect.stringContaining('architecture') });
  });

  it('is a base for its platforms, and for no other', async () => {
    space.write({
      'on-app': `FROM app AS first\nFROM ${BASE}\nCOPY --from=first /made /copied\nCOPY --from=app /made/own /`,
    });
    const args = ['-f', join(space.context, 'on-app')];
    const directory = join(out, 'on-app');
    await space.build([...args, ...BOTH, '-o', directory], { env });
    const own = (platform: string): string => readFileSync(join(directory, platform, 'copied/own'), 'utf8');
    expect([own('linux_arm64'), own('linux_amd64')]).toEqual(['linux/arm64\n', 'linux/amd64\n']);
    const wrong = await space.tryBuild([...args, '--platform', 'linux/s390x'], { env });
    expect(wrong.stderr).toContain('error[E_NO_PLATFORM]: Cannot choose from the index: no image for linux/s390x');
    expect(wrong.stderr).toContain('linux/arm64, linux/amd64');
  });

  it('from a registry serves all platforms again without it', async () => {
    const name = remote('base:1');
    await space.build([...BOTH, '-t', name, '--push'], { env });
    const other = workspace(person, { containerfile: `FROM ${name}\nCOPY Containerfile /\n` });
    const first = await other.build([...BOTH, '-q'], { env });
    const second = await other.build([...BOTH, '-q', '--pull=never'], { env });
    expect(second.stdout).toBe(first.stdout);
    const { stdout } = succeeded(await other.tsbuild(['images', '--json']));
    expect(JSON.parse(stdout)).toContainEqual(
      expect.objectContaining({ name, platform: expect.stringMatching(/^linux\/\w+,linux\/\w+$/) }),
    );
  });

  it('carries its cache, for each platform', async () => {
    const containerfile = `FROM ${BASE}\nCOPY file /\nARG TARGETARCH\nRUN echo "$TARGETARCH" > /arch\n`;
    const project = (): Workspace => workspace(person, { containerfile, files: { file: 'text' } });
    const name = remote('cache:1');
    const caches = ['--cache-to', 'type=inline', '--cache-to', `type=registry,ref=${remote('caches:1')}`];
    await project().build([...BOTH, '-t', name, '--push', ...caches], { env });
    for (const source of [name, remote('caches:1')]) {
      const { stderr } = await project().build([...BOTH, '--cache-from', source], { env });
      expect(stderr).toContain('4 steps, all cached');
      expect(stderr).not.toContain('as a cache');
    }
  });

  it('is a manifest list in the Docker format', async () => {
    const name = remote('docker:1');
    const metadata = join(out, 'metadata.json');
    await space.build([...BOTH, '--format', 'docker', '-t', name, '--push', '--metadata-file', metadata], { env });
    const { document, digest } = await manifestOf(name);
    expect(document.mediaType).toBe('application/vnd.docker.distribution.manifest.list.v2+json');
    const type = 'application/vnd.docker.distribution.manifest.v2+json';
    expect(document.manifests.map(({ mediaType }) => mediaType)).toEqual([type, type]);
    const told = JSON.parse(readFileSync(metadata, 'utf8'));
    expect(told).toMatchObject({ 'containerimage.digest': digest, 'image.name': name });
    expect(told).not.toHaveProperty('containerimage.config.digest');
  });
});

describe.runIf(hasBase()).each(people())('several platforms in the store of $name', (person) => {
  const containerfile = 'FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n';
  const files = { arm64: 'one\n', amd64: 'other\n' };

  it('are named, removed and pruned as one', async () => {
    const space = workspace(person, { containerfile, files });
    await space.build([...BOTH, '-t', 'app']);
    const { Digest, Images } = await inspectIndex(space, 'app');
    succeeded(await space.tsbuild(['tag', 'app', 'second']));
    succeeded(await space.tsbuild(['prune', '-af']));
    expect((await inspectIndex(space, 'second')).Digest).toBe(Digest);
    expect(succeeded(await space.tsbuild(['store', 'verify'])).stdout).not.toContain('problem:');
    expect(succeeded(await space.tsbuild(['store', 'df'])).stdout).toMatch(/^images +3 /m);

    const [image] = Images;
    const part = await space.tsbuild(['rmi', image?.Id ?? '']);
    expect(part).toMatchObject({ status: 2, stderr: expect.stringContaining('it is one of the images of') });
    expect(succeeded(await space.tsbuild(['rmi', 'app'])).stdout).toBe('localhost/app:latest\n');
    expect(succeeded(await space.tsbuild(['rmi', 'second'])).stdout).toBe(`localhost/second:latest\n${Digest}\n`);
    expect(JSON.parse(succeeded(await space.tsbuild(['images', '--json'])).stdout)).toEqual([]);
    succeeded(await space.tsbuild(['prune', '-af']));
    expect(succeeded(await space.tsbuild(['store', 'df'])).stdout).toMatch(/^blobs +0 /m);
  });

  it('without a name stay until prune, and are found by the ID', async () => {
    const space = workspace(person, { containerfile, files });
    const digest = (await space.build([...BOTH, '-q'])).stdout.trim();
    expect((await inspectIndex(space, digest.slice(0, 19))).Names).toEqual([]);
    succeeded(await space.tsbuild(['prune', '-f']));
    expect((await space.tsbuild(['inspect', digest])).stderr).toContain('E_NO_IMAGE');
    expect(succeeded(await space.tsbuild(['store', 'verify'])).stderr).not.toContain('error');
  });

  it('without that of this machine do not run', async () => {
    const space = workspace(person, { containerfile: 'FROM scratch\nCMD ["/x"]\n' });
    await space.build(['--platform', 'linux/s390x,linux/riscv64', '-t', 'app']);
    const { status, stderr } = await space.tsbuild(['run', '--rm', 'app']);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/error\[E_NO_PLATFORM\]: Cannot run "app": it has no image for linux\/\w+\n/);
  });

  it('are damaged as one: verify names the image', async () => {
    const space = workspace(person, { containerfile, files });
    await space.build([...BOTH, '-t', 'app']);
    const { Images } = await inspectIndex(space, 'app');
    const blob = join(space.store, 'blobs/sha256', (Images[1]?.Digest ?? '').replace('sha256:', ''));
    succeeded(await person.run(['sh', '-c', `chmod u+w ${blob} && echo damage > ${blob}`]));
    const { status, stdout, stderr } = await space.tsbuild(['store', 'verify']);
    expect(status).not.toBe(0);
    expect(stdout + stderr).toContain('image localhost/app:latest');
  });

  it('get no name where one of them fails', async () => {
    const fails = `${containerfile}FROM ${BASE}\nARG TARGETARCH\nRUN [ "$TARGETARCH" = amd64 ]\n`;
    const space = workspace(person, { containerfile: fails, files });
    const { status, stderr } = await space.tryBuild([...BOTH, '-t', 'app']);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/#\d+ \[linux\/arm64 1 1\/1\] RUN \[ "\$TARGETARCH"/);
    expect(stderr).toContain('error[E_RUN_FAILED]: RUN');
    expect((await space.tsbuild(['inspect', 'app'])).stderr).toContain('E_NO_IMAGE');
  });

  it('that the kernel does not run are an error that names the platform', async () => {
    // the beginning of a program for a machine that nobody has: e_machine 0xfeed
    const elf =
      '\\177ELF\\002\\001\\001\\000\\000\\000\\000\\000\\000\\000\\000\\000\\002\\000\\355\\376\\001\\000\\000\\000';
    const shell = `FROM ${BASE} AS made\nRUN printf '${elf}' > /sh && head -c 200 /dev/zero >> /sh && chmod 755 /sh\n`;
    const text = `${shell}FROM scratch\nCOPY --from=made /sh /bin/sh\nRUN true\n`;
    const space = workspace(person, { containerfile: text });
    const { status, stderr } = await space.tryBuild([
      '--platform',
      'linux/s390x,linux/riscv64',
      '--jobs',
      '1',
      '-t',
      'app',
    ]);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(
      /error\[E_RUN_NOT_STARTED\]: Cannot start "\/bin\/sh" for linux\/(s390x|riscv64): .*exec format error/,
    );
    expect(stderr).toContain('binfmt_misc');
  });
});
