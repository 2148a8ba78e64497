import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createIndex, hexOf, type Image, type ImageIndex, parseLocalName } from '../../src/oci/index.ts';
import { openStore, type Store } from '../../src/store/index.ts';
import { collect, decompress, sampleImage } from '../support/sample-images.ts';

let root = '';
let store: Store;
let images: readonly Image[] = [];
let index: ImageIndex;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tsbuild-index-'));
  store = openStore(root, () => ({ decompress }));
  images = await Promise.all(['amd64', 's390x'].map((architecture) => sampleImage({ architecture })));
  index = createIndex(images, 'oci');
});
afterEach(() => rm(root, { recursive: true, force: true }));

const ref = parseLocalName('app');
const other = parseLocalName('other');
/** Longer than the clock grain of leases. */
const age = () => sleep(50);
const platform = (architecture: string) => ({ os: 'linux', architecture });
const digests = (list: readonly Image[]) => list.map(({ descriptor }) => descriptor.digest);

async function isWhole(name: string): Promise<boolean> {
  for (const { config } of images) {
    for (const layer of (await store.images.find(name, config)).layers) await collect(layer.uncompressed());
  }
  return true;
}

describe('an index in the store', () => {
  test('is one line, and the image of a platform under one name', async () => {
    await store.images.write(index, ref);
    const { digest } = index.descriptor;
    const [row, ...more] = await store.images.list();
    expect(more).toEqual([]);
    expect(row).toMatchObject({ imageId: digest, manifest: digest, platform: 'linux/amd64,linux/s390x' });
    const { sizeBytes } = row ?? {};
    expect(sizeBytes).toBe(images[0]?.layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0));
    const found = await Promise.all(['amd64', 's390x'].map((name) => store.images.resolve(ref, platform(name))));
    expect(digests(found)).toEqual(digests(images));
    await expect(store.images.resolve(ref, platform('arm64'))).rejects.toMatchObject({ code: 'E_NO_PLATFORM' });
    await expect(store.images.find('app')).rejects.toMatchObject({
      code: 'E_NO_PLATFORM',
      hint: 'Choose one with --platform: linux/amd64, linux/s390x',
    });
  });

  test('is found by the digest, and so are its images by their IDs', async () => {
    await store.images.add(index);
    expect((await store.images.findContent(hexOf(index.descriptor.digest).slice(0, 12))).descriptor).toEqual(
      index.descriptor,
    );
    const [, second] = images;
    expect((await store.images.find(second?.configDescriptor.digest ?? '')).descriptor).toEqual(second?.descriptor);
  });

  test('keeps its images through a prune, and takes them along when it goes', async () => {
    await store.images.write(index, ref);
    await age();
    await store.prune({ all: true });
    expect(await isWhole('app')).toBe(true);
    expect(await store.images.remove('app')).toEqual({
      untagged: ['localhost/app:latest'],
      imageId: index.descriptor.digest,
    });
    expect(await store.images.list()).toEqual([]);
    await age();
    await store.prune({ all: true });
    expect(await store.blobs.list()).toEqual([]);
  });

  test('without a name goes with the next prune', async () => {
    await store.images.add(index);
    await age();
    await store.prune();
    expect(await store.blobs.list()).toEqual([]);
  });

  test('leaves an image that has a name, and one that another index has', async () => {
    const [first, second] = images;
    if (!first || !second) throw new Error('there are two');
    const third = await sampleImage({ architecture: 'riscv64' });
    await store.images.write(index, ref);
    await store.images.write(first, other);
    await store.images.write(createIndex([second, third], 'oci'), parseLocalName('third'));
    await store.images.remove('app');
    await age();
    await store.prune({ all: true });
    expect((await store.images.find('other')).descriptor).toEqual(first.descriptor);
    expect((await store.images.find('third', platform('s390x'))).descriptor).toEqual(second.descriptor);
    expect(await store.images.remove('third')).toMatchObject({ untagged: ['localhost/third:latest'] });
    expect((await store.images.list()).map(({ name }) => name)).toEqual(['localhost/other:latest']);
  });

  test('does not lose a single image: neither by its ID nor with its name', async () => {
    const [first] = images;
    await store.images.write(index, ref);
    await expect(store.images.remove(first?.configDescriptor.digest ?? '')).rejects.toMatchObject({ code: 'E_USAGE' });
    if (first) await store.images.write(first, other);
    expect(await store.images.remove('other')).toEqual({ untagged: ['localhost/other:latest'] });
    expect(await isWhole('app')).toBe(true);
  });

  test('gets lost records back', async () => {
    await store.images.write(index, ref);
    for (const name of await readdir(join(root, 'images'))) await rm(join(root, 'images', name));
    await age();
    await store.prune({ all: true });
    expect(await isWhole('app')).toBe(true);
    await rm(join(root, 'images', `${hexOf(images[1]?.descriptor.digest ?? index.descriptor.digest)}.json`));
    await age();
    await store.prune({ all: true });
    expect(await isWhole('app')).toBe(true);
    expect((await store.verify({ repair: false })).problems).toEqual([]);
  });

  test('is a problem of verify where an image of it lost its manifest', async () => {
    await store.images.write(index, ref);
    await store.blobs.delete(images[1]?.descriptor.digest ?? index.descriptor.digest);
    const { problems } = await store.verify({ repair: false });
    expect(problems.map(({ subject }) => subject)).toEqual(['image localhost/app:latest']);
  });
});

describe('images that are pulled for one name after the other', () => {
  const [amd64, s390x] = [platform('amd64'), platform('s390x')];

  test('stand together under it, the newest of each platform', async () => {
    for (const image of images) await store.images.writeBeside(image, ref);
    expect(await isWhole('app')).toBe(true);
    const newer = await sampleImage({ architecture: 'amd64', env: ['NEW=1'] });
    await store.images.writeBeside(newer, ref);
    expect((await store.images.resolve(ref, amd64)).descriptor).toEqual(newer.descriptor);
    expect((await store.images.resolve(ref, s390x)).descriptor).toEqual(images[1]?.descriptor);
    const rows = await store.images.list();
    expect(rows.map(({ name, platform: text }) => [name, text])).toEqual([
      ['localhost/app:latest', 'linux/s390x,linux/amd64'],
      [undefined, 'linux/amd64'],
    ]);
  });

  test('do so when they come at once', async () => {
    await Promise.all(images.map((image) => store.images.writeBeside(image, ref)));
    expect(await isWhole('app')).toBe(true);
    expect(await store.images.list()).toHaveLength(1);
  });

  test('are one image while there is one platform', async () => {
    const [first] = images;
    if (first) await store.images.writeBeside(first, ref);
    expect((await store.images.findContent('app')).descriptor).toEqual(first?.descriptor);
  });
});
