import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeTarStream, type TarMember } from '../../src/layers/index.ts';
import { hexOf, type Image, parseReference } from '../../src/oci/index.ts';
import { OciArchiveSink, OciLayout, openArchive } from '../../src/store/index.ts';
import { expectSameContent } from '../contract/image-source.ts';
import { collect, decompress, sampleImage, streamOf } from '../support/sample-images.ts';

let scratch = '';
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tsbuild-archives-'));
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

const plain = { mode: 0o644, uid: 0, gid: 0, mtime: 0 } as const;
const file = (path: string, content: Uint8Array | string): TarMember => ({
  entry: { type: 'file', path, size: Buffer.byteLength(content), ...plain },
  body: streamOf(content),
});
const symlink = (path: string, linkname: string): TarMember => ({
  entry: { type: 'symlink', path, linkname, ...plain },
});
const platform = { os: 'linux', architecture: 'amd64' };
const ref = parseReference('x');

async function resolve(members: readonly TarMember[]): Promise<Image> {
  const source = streamOf(await collect(encodeTarStream(members)));
  const archive = await openArchive({ source, ingest: scratch, decompress });
  try {
    const image = await archive.resolve(ref, platform);
    for (const layer of image.layers) await collect(layer.uncompressed());
    return image;
  } finally {
    await archive[Symbol.asyncDispose]();
  }
}

/** As docker before 25 wrote it: a directory for each layer, links where layers repeat. */
async function oldDockerArchive(layerMembers: (tars: readonly Buffer[]) => readonly TarMember[]): Promise<{
  readonly image: Image;
  readonly members: readonly TarMember[];
}> {
  const image = await sampleImage();
  const tars = await Promise.all(image.layers.map((layer) => collect(layer.uncompressed())));
  const config = `${hexOf(image.configDescriptor.digest)}.json`;
  const item = { Config: config, RepoTags: ['app:1'], Layers: ['a/layer.tar', 'b/layer.tar'] };
  const manifest = file('manifest.json', JSON.stringify([item]));
  return { image, members: [...layerMembers(tars), file(config, image.rawConfig), manifest] };
}

const bytes = (tars: readonly Buffer[], i: number): Buffer => tars[i] ?? Buffer.alloc(0);

describe('docker archives', () => {
  test('with links between layers are read', async () => {
    const { image, members } = await oldDockerArchive((tars) => [
      file('stored/first.tar', bytes(tars, 0)),
      symlink('a/layer.tar', '../stored/first.tar'),
      file('b/layer.tar', bytes(tars, 1)),
    ]);
    const archive = await openArchive({
      source: streamOf(await collect(encodeTarStream(members))),
      ingest: scratch,
      decompress,
    });
    await expectSameContent(await archive.resolve(ref, platform), image);
    expect(archive.images.map(({ names }) => names)).toEqual([['app:1']]);
    await archive[Symbol.asyncDispose]();
  });

  test('that link in a circle are refused', async () => {
    const { members } = await oldDockerArchive((tars) => [
      symlink('a/layer.tar', '../b/layer.tar'),
      symlink('b/layer.tar', '../a/layer.tar'),
      file('unused', bytes(tars, 0)),
    ]);
    await expect(resolve(members)).rejects.toMatchObject({
      code: 'E_BAD_MANIFEST',
      message: expect.stringContaining('loop of links'),
    });
  });

  test.each(['/etc/passwd', '../../../../etc/passwd'])(
    'that link to %s of the machine find nothing',
    async (target) => {
      const { members } = await oldDockerArchive((tars) => [
        symlink('a/layer.tar', target),
        file('b/layer.tar', bytes(tars, 1)),
      ]);
      await expect(resolve(members)).rejects.toMatchObject({ code: 'E_BAD_MANIFEST' });
    },
  );

  test('with exchanged layers are refused', async () => {
    const { members } = await oldDockerArchive((tars) => [
      file('a/layer.tar', bytes(tars, 1)),
      file('b/layer.tar', bytes(tars, 0)),
    ]);
    await expect(resolve(members)).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
  });

  test('with a config that is not what its name says are refused', async () => {
    const image = await sampleImage();
    const config = `${hexOf(image.descriptor.digest)}.json`;
    const manifest = JSON.stringify([{ Config: config, RepoTags: null, Layers: [] }]);
    await expect(resolve([file('manifest.json', manifest), file(config, image.rawConfig)])).rejects.toMatchObject({
      code: 'E_DIGEST_MISMATCH',
    });
  });

  test.each(['{}', 'null', '[{}]', '[null]', '[{"Config":1}]', '[{"Config":"c","Layers":[1]}]', 'no json', '[]'])(
    'with the manifest %s are refused',
    async (text) => {
      await expect(resolve([file('manifest.json', text)])).rejects.toMatchObject({
        code: expect.stringMatching(/^E_(BAD_MANIFEST|NO_IMAGE)$/),
      });
    },
  );
});

describe('archives', () => {
  test('that are none are refused', async () => {
    await expect(resolve([file('hello', 'world')])).rejects.toMatchObject({
      code: 'E_BAD_MANIFEST',
      message: expect.stringContaining('neither an OCI archive nor a Docker archive'),
    });
    const text = Buffer.from('this is no tar '.repeat(100));
    await expect(openArchive({ source: streamOf(text), ingest: scratch, decompress })).rejects.toMatchObject({
      code: 'E_BAD_LAYER',
    });
    const missing = join(scratch, 'missing.tar');
    await expect(openArchive({ source: missing, ingest: scratch, decompress })).rejects.toMatchObject({
      code: 'E_STORE',
    });
  });

  test('with an enormous manifest are refused without reading it into memory', async () => {
    const huge = file('manifest.json', Buffer.alloc(5 * 1024 * 1024, ' '));
    await expect(resolve([huge])).rejects.toMatchObject({ code: 'E_SIZE_MISMATCH' });
  });

  test('from a pipe and compressed ones are read, and nothing stays in the spool', async () => {
    const image = await sampleImage({ compression: 'gzip' });
    const path = join(scratch, 'image.tar');
    await new OciArchiveSink(path, '1.0').write(image, ref);
    const tar = await collect((await import('node:fs')).createReadStream(path));
    await writeFile(`${path}.gz`, gzipSync(tar));
    const before = await readdir(scratch);
    for (const source of [path, `${path}.gz`, streamOf(tar), streamOf(gzipSync(tar))]) {
      const archive = await openArchive({ source, name: '1.0', ingest: scratch, decompress });
      await expectSameContent(await archive.resolve(ref, platform), image);
      await archive[Symbol.asyncDispose]();
    }
    expect(await readdir(scratch)).toEqual(before);
  });

  test('are the same bytes each time, to a file and to a stream', async () => {
    const { PassThrough } = await import('node:stream');
    const image = await sampleImage({ compression: 'gzip' });
    const [a, b] = [join(scratch, 'a.tar'), join(scratch, 'b.tar')];
    await new OciArchiveSink(a).write(image, ref);
    await new OciArchiveSink(b).write(image, ref);
    const { readFile } = await import('node:fs/promises');
    expect(await readFile(a)).toEqual(await readFile(b));
    const stream = new PassThrough();
    const received = collect(stream);
    await new OciArchiveSink(stream).write(image, ref);
    expect(stream.writableEnded).toBe(false);
    stream.end();
    expect(await received).toEqual(await readFile(a));
  });

  test('that fail half-way leave the older file as it was', async () => {
    const path = join(scratch, 'image.tar');
    await writeFile(path, 'older');
    const image = await sampleImage();
    const layers = image.layers.map((layer) => ({ ...layer, compressed: () => streamOf('short') }));
    await expect(new OciArchiveSink(path).write({ ...image, layers }, ref)).rejects.toThrow();
    expect(await readdir(scratch)).toEqual(['image.tar']);
  });
});

describe('OCI layouts', () => {
  test('keep their other images, and say which there are', async () => {
    const directory = join(scratch, 'layout');
    const [one, two] = [await sampleImage(), await sampleImage({ env: ['TWO=2'] })];
    const layout = (name?: string) => new OciLayout({ directory, name, decompress });
    await layout('one').write(one, ref);
    await expectSameContent(await layout().resolve(ref, platform), one);
    await layout('two').write(two, ref);
    await expectSameContent(await layout('one').resolve(ref, platform), one);
    await expectSameContent(await layout('two').resolve(ref, platform), two);
    await expect(layout().resolve(ref, platform)).rejects.toMatchObject({
      code: 'E_NO_IMAGE',
      hint: 'Choose one of: one, two',
    });
    await expect(layout('three').resolve(ref, platform)).rejects.toMatchObject({ code: 'E_NO_IMAGE' });
    expect((await readdir(directory)).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
  });

  test('lose no image when several are written at once', async () => {
    const directory = join(scratch, 'layout');
    const names = Array.from({ length: 8 }, (_, i) => `image${i}`);
    await Promise.all(
      names.map(async (name) =>
        new OciLayout({ directory, name, decompress }).write(await sampleImage({ env: [name] }), ref),
      ),
    );
    for (const name of names) {
      const image = await new OciLayout({ directory, name, decompress }).resolve(ref, platform);
      expect(image.config.config?.Env).toEqual([name]);
    }
  });

  test('with damaged blobs are refused and left as they are', async () => {
    const directory = join(scratch, 'layout');
    const image = await sampleImage();
    const layout = new OciLayout({ directory, decompress });
    await layout.write(image, ref);
    const config = join(directory, 'blobs/sha256', hexOf(image.configDescriptor.digest));
    await rm(config);
    await writeFile(config, '{}');
    await expect(layout.resolve(ref, platform)).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    expect(await readdir(join(directory, 'blobs/sha256'))).toContain(hexOf(image.configDescriptor.digest));
  });
});
