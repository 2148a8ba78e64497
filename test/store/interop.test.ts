import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Image, parseReference } from '../../src/oci/index.ts';
import { DirectoryImage, DockerArchiveSink, OciArchiveSink, OciLayout, openArchive } from '../../src/store/index.ts';
import { expectSameContent } from '../contract/image-source.ts';
import { requires } from '../support/requires.ts';
import { decompress, sampleImage } from '../support/sample-images.ts';

let scratch = '';
let image: Image;
const ref = parseReference('example.com/me/app:1.0');
const platform = { os: 'linux', architecture: 'amd64' };
const at = (name: string): string => join(scratch, name);

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tsbuild-interop-'));
  image = await sampleImage({ compression: 'gzip' });
  await new OciLayout({ directory: at('layout'), name: '1.0', decompress }).write(image, ref);
  await new OciArchiveSink(at('oci.tar'), '1.0').write(image, ref);
  await new DockerArchiveSink(at('docker.tar')).write(await sampleImage({ format: 'docker' }), ref);
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const run = (program: string, ...args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

function has(program: string): boolean {
  try {
    run(program, '--version');
    return true;
  } catch {
    return false;
  }
}

describe.runIf(requires('skopeo', has('skopeo')))('skopeo', () => {
  const skopeo = (...args: readonly string[]) => run('skopeo', '--insecure-policy', ...args);

  test.each(['oci:layout:1.0', 'oci:layout', 'oci-archive:oci.tar:1.0', 'oci-archive:oci.tar'])(
    'reads our %s',
    (name) => {
      const source = name.replace(/:(.*)/, `:${scratch}/$1`);
      const inspected = JSON.parse(skopeo('inspect', source));
      expect(inspected).toMatchObject({ Digest: image.descriptor.digest, Env: ['A=b'], Architecture: 'amd64' });
      skopeo('copy', source, `dir:${at(`copy-${name.replace(/\W/g, '-')}`)}`);
    },
  );

  test.each(['docker.tar', 'docker.tar:example.com/me/app:1.0'])('reads our Docker archive as %s', async (name) => {
    skopeo('copy', `docker-archive:${scratch}/${name}`, `oci:${at('from-docker')}:x`);
    const back = await new OciLayout({ directory: at('from-docker'), name: 'x', decompress }).resolve(ref, platform);
    expect(back.layers.map((layer) => layer.diffId)).toEqual(image.layers.map((layer) => layer.diffId));
  });

  test('writes the directory that we read as dir:', async () => {
    skopeo('copy', `oci:${at('layout')}:1.0`, `dir:${at('theirs')}`);
    const back = await new DirectoryImage({ directory: at('theirs'), decompress }).resolve(ref, platform);
    expect(back.descriptor.digest).toBe(image.descriptor.digest);
    await expectSameContent(back, image);
  });

  test('writes what we read', async () => {
    skopeo('copy', `oci:${at('layout')}:1.0`, `oci-archive:${at('theirs-oci.tar')}:t`);
    skopeo('copy', `oci:${at('layout')}:1.0`, `docker-archive:${at('theirs-docker.tar')}:example.com/me/app:t`);
    skopeo('copy', `oci:${at('layout')}:1.0`, `oci:${at('theirs')}:t`);
    await expectSameContent(
      await new OciLayout({ directory: at('theirs'), name: 't', decompress }).resolve(ref, platform),
      image,
    );
    for (const source of [at('theirs-oci.tar'), at('theirs-docker.tar')]) {
      const archive = await openArchive({ source, ingest: scratch, decompress });
      await expectSameContent(await archive.resolve(ref, platform), image);
      await archive[Symbol.asyncDispose]();
    }
  });

  test('adds to a layout of ours, and we to one of its', async () => {
    skopeo('copy', `oci:${at('layout')}:1.0`, `oci:${at('shared')}:first`);
    const other = await sampleImage({ env: ['OTHER=1'] });
    await new OciLayout({ directory: at('shared'), name: 'second', decompress }).write(other, ref);
    skopeo('copy', `oci:${at('layout')}:1.0`, `oci:${at('shared')}:third`);
    for (const [name, wanted] of [
      ['first', image],
      ['second', other],
      ['third', image],
    ] as const) {
      expect(JSON.parse(skopeo('inspect', `oci:${at('shared')}:${name}`)).Digest).toBe(wanted.descriptor.digest);
      const read = await new OciLayout({ directory: at('shared'), name, decompress }).resolve(ref, platform);
      expect(read.descriptor.digest).toBe(wanted.descriptor.digest);
    }
  });
});

describe.runIf(requires('umoci', has('umoci')))('umoci', () => {
  test('unpacks our layout', async () => {
    const rootless = process.getuid?.() === 0 ? [] : ['--rootless'];
    run('umoci', 'unpack', ...rootless, '--image', `${at('layout')}:1.0`, at('bundle'));
    expect(await readFile(join(at('bundle'), 'rootfs/etc/motd'), 'utf8')).toBe('hello\n');
    expect(await readFile(join(at('bundle'), 'rootfs/payload'), 'utf8')).toBe('second layer');
  });

  test('makes layouts that we read', async () => {
    run('umoci', 'init', '--layout', at('umoci'));
    run('umoci', 'new', '--image', `${at('umoci')}:empty`);
    const empty = await new OciLayout({ directory: at('umoci'), name: 'empty', decompress }).resolve(ref, platform);
    expect(empty.layers).toEqual([]);
  });
});

const podman = (...args: readonly string[]): string =>
  run('podman', '--root', at('podman'), '--runroot', at('podman-run'), '--storage-driver', 'vfs', ...args);
const podmanWorks = (() => {
  try {
    run('podman', 'info');
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
})();

describe.runIf(requires('podman (root)', podmanWorks))('podman', () => {
  test.each(['docker.tar', 'oci.tar'])('loads our %s', (name) => {
    const loaded = podman('load', '-i', at(name));
    const id = /sha256:[0-9a-f]{64}/.exec(loaded)?.[0] ?? /Loaded image: (\S+)/.exec(loaded)?.[1] ?? '';
    const [inspected] = JSON.parse(podman('image', 'inspect', id));
    expect(inspected.RootFS.Layers).toEqual(image.layers.map((layer) => layer.diffId));
    expect(inspected.Config.Env).toEqual(['A=b']);
  });

  test.each(['docker-archive', 'oci-archive'])('saves a %s that we load', async (format) => {
    podman('load', '-i', at('docker.tar'));
    podman('save', '--format', format, '-o', at(`podman-${format}.tar`), 'example.com/me/app:1.0');
    const archive = await openArchive({ source: at(`podman-${format}.tar`), ingest: scratch, decompress });
    const back = await archive.resolve(ref, platform);
    expect(back.layers.map((layer) => layer.diffId)).toEqual(image.layers.map((layer) => layer.diffId));
    expect(archive.images.flatMap(({ names }) => names)).toEqual([expect.stringContaining('example.com/me/app:1.0')]);
    await archive[Symbol.asyncDispose]();
  });
});
