import { describe, expect, test } from 'vitest';
import { digestOf, type Image, type ImageSource, parseReference } from '../../src/oci/index.ts';
import { collect, sampleImage } from '../support/sample-images.ts';

/** Config bytes, diffIDs and tars are those of `wanted`; every descriptor tells the truth about its bytes. */
export async function expectSameContent(image: Image, wanted: Image): Promise<void> {
  expect(Buffer.from(image.rawConfig).toString()).toBe(Buffer.from(wanted.rawConfig).toString());
  expect(digestOf(image.rawManifest)).toBe(image.descriptor.digest);
  expect(digestOf(image.rawConfig)).toBe(image.configDescriptor.digest);
  expect(image.layers.map((layer) => layer.diffId)).toEqual(wanted.layers.map((layer) => layer.diffId));
  for (const layer of image.layers) {
    const stored = await collect(layer.compressed());
    expect({ digest: digestOf(stored), size: stored.length }).toEqual({
      digest: layer.descriptor.digest,
      size: layer.descriptor.size,
    });
    expect(digestOf(await collect(layer.uncompressed()))).toBe(layer.diffId);
  }
}

/** What every ImageSource does. `create` makes one that holds `image` as example.com/me/app:1.0 and nothing else. */
export function imageSourceContract(name: string, create: (image: Image) => Promise<ImageSource>): void {
  describe(`${name} as an image source`, () => {
    const ref = parseReference('example.com/me/app:1.0');

    test('resolves an image with its config and layers', async () => {
      const image = await sampleImage({ compression: 'gzip' });
      const source = await create(image);
      await expectSameContent(await source.resolve(ref, { os: 'linux', architecture: 'amd64' }), image);
    });

    test('refuses an image of another platform', async () => {
      const source = await create(await sampleImage({ architecture: 'arm64' }));
      await expect(source.resolve(ref, { os: 'linux', architecture: 'amd64' })).rejects.toMatchObject({
        code: 'E_NO_PLATFORM',
      });
      await expect(source.resolve(ref, { os: 'linux', architecture: 'arm64' })).resolves.toMatchObject({});
    });
  });
}
