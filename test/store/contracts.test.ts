import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { hexOf, type Image, type ImageSource, parseReference } from '../../src/oci/index.ts';
import { DiskContentStore } from '../../src/store/blobs.ts';
import { DockerArchiveSink, OciArchiveSink, OciLayout, openArchive, openStore } from '../../src/store/index.ts';
import { contentStoreContract } from '../contract/content-store.ts';
import { type ImageSinkUnderTest, imageSinkContract } from '../contract/image-sink.ts';
import { imageSourceContract } from '../contract/image-source.ts';
import { MemoryContentStore } from '../support/memory-content-store.ts';
import { decompress } from '../support/sample-images.ts';

const made: string[] = [];
const scratch = async (): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), 'tsbuild-store-'));
  made.push(directory);
  return directory;
};
const opened: AsyncDisposable[] = [];
const openedArchive = async (file: string, kind: 'oci' | 'docker', ingest: string): Promise<ImageSource> => {
  const archive = await openArchive({ source: file, kind, ingest, decompress });
  opened.push(archive);
  return archive;
};
afterAll(async () => {
  for (const archive of opened) await archive[Symbol.asyncDispose]();
  for (const directory of made) await rm(directory, { recursive: true, force: true });
});

contentStoreContract('disk', async () => {
  const root = await scratch();
  const blobs = join(root, 'blobs');
  return {
    store: new DiskContentStore({ blobs, ingest: join(root, 'ingest') }),
    damage: async (digest) => {
      await chmod(join(blobs, hexOf(digest)), 0o600);
      await writeFile(join(blobs, hexOf(digest)), 'SOME content');
    },
  };
});

contentStoreContract('memory', async () => {
  const store = new MemoryContentStore();
  return { store, damage: async (digest) => store.replace(digest, Buffer.from('SOME content')) };
});

const openers: Readonly<Record<string, () => Promise<ImageSinkUnderTest>>> = {
  store: async () => {
    const { images } = openStore(await scratch(), () => ({ decompress }));
    return { sink: images, source: async () => images };
  },
  'OCI layout': async () => {
    const layout = new OciLayout({ directory: join(await scratch(), 'layout'), name: '1.0', decompress });
    return { sink: layout, source: async () => layout };
  },
  'OCI archive': async () => {
    const ingest = await scratch();
    const file = join(ingest, 'image.tar');
    return {
      sink: new OciArchiveSink(file),
      source: () => openedArchive(file, 'oci', ingest),
    };
  },
  'Docker archive': async () => {
    const ingest = await scratch();
    const file = join(ingest, 'image.tar');
    return {
      sink: new DockerArchiveSink(file),
      source: () => openedArchive(file, 'docker', ingest),
      losesManifest: true,
      refusesIndex: true,
    };
  },
};

for (const [name, create] of Object.entries(openers)) {
  imageSinkContract(name, create);
  imageSourceContract(name, async (image: Image): Promise<ImageSource> => {
    const { sink, source } = await create();
    await sink.write(image, parseReference('example.com/me/app:1.0'));
    return source();
  });
}
