import { describe, expect, test } from 'vitest';
import {
  createImage,
  createIndex,
  type Image,
  type ImageSink,
  type ImageSource,
  parseReference,
  verify,
} from '../../src/oci/index.ts';
import { collect, sampleImage } from '../support/sample-images.ts';
import { expectSameContent } from './image-source.ts';

export interface ImageSinkUnderTest {
  readonly sink: ImageSink;
  /** Opens what was written. */
  source(): Promise<ImageSource>;
  /** The sink has no manifest of its own bytes (docker-archive): config and layers are what comes back. */
  readonly losesManifest?: boolean;
  /** It has room for one image only. */
  readonly refusesIndex?: boolean;
}

/** What every ImageSink does: read back, it is the same image. */
export function imageSinkContract(name: string, create: () => Promise<ImageSinkUnderTest>): void {
  describe(`${name} as an image sink`, () => {
    const ref = parseReference('example.com/me/app:1.0');
    const written = async (image: Image): Promise<{ image: Image; back: Image; losesManifest: boolean }> => {
      const { sink, source, losesManifest = false } = await create();
      expect(await sink.write(image, ref)).toMatchObject({ digest: image.descriptor.digest });
      const back = await (await source()).resolve(ref, image.config);
      return { image, back, losesManifest };
    };

    test.each([
      { format: 'oci', compression: 'none' },
      { format: 'oci', compression: 'gzip' },
      { format: 'docker', compression: 'none' },
      { format: 'docker', compression: 'gzip' },
    ] as const)('gives back a $format image with $compression layers', async (options) => {
      const { image, back, losesManifest } = await written(await sampleImage(options));
      if (!losesManifest) expect(back.descriptor.digest).toBe(image.descriptor.digest);
      if (!losesManifest) expect(Buffer.from(back.rawManifest)).toEqual(Buffer.from(image.rawManifest));
      await expectSameContent(back, image);
    });

    test('gives back an image without layers, and one with the same layer twice', async () => {
      const image = await sampleImage();
      for (const layers of [[], [...image.layers, ...image.layers]]) {
        const rootfs = { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) } as const;
        const odd = createImage({ format: 'oci', config: { ...image.config, rootfs }, layers });
        await expectSameContent((await written(odd)).back, odd);
      }
    });

    test('writes the same image twice', async () => {
      const { sink, source } = await create();
      const image = await sampleImage();
      await sink.write(image, ref);
      await sink.write(image, ref);
      await expectSameContent(await (await source()).resolve(ref, image.config), image);
    });

    test('replaces the image of a name', async () => {
      const { sink, source } = await create();
      await sink.write(await sampleImage(), ref);
      const newer = await sampleImage({ env: ['NEW=1'] });
      await sink.write(newer, ref);
      await expectSameContent(await (await source()).resolve(ref, newer.config), newer);
    });

    test.each(['oci', 'docker'] as const)('holds an index of the %s format, or says that it cannot', async (format) => {
      const { sink, source, refusesIndex } = await create();
      const images = [await sampleImage({ format, architecture: 's390x' }), await sampleImage({ format })];
      const index = createIndex(images, format);
      if (refusesIndex) {
        await expect(sink.write(index, ref)).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
        return;
      }
      expect(await sink.write(index, ref)).toEqual(index.descriptor);
      const opened = await source();
      for (const image of images) {
        const back = await opened.resolve(ref, image.config);
        expect(back.descriptor.digest).toBe(image.descriptor.digest);
        await expectSameContent(back, image);
      }
      await expect(opened.resolve(ref, { os: 'linux', architecture: 'arm64' })).rejects.toMatchObject({
        code: 'E_NO_PLATFORM',
      });
    });

    test('refuses a layer whose bytes are not what its descriptor says', async () => {
      const { sink } = await create();
      const image = await sampleImage();
      const other = await sampleImage({ payload: Buffer.from('SECOND LAYER') });
      const layers = image.layers.map((layer, i) => ({
        ...layer,
        compressed: () => verify(other.layers[i]?.compressed() ?? layer.compressed(), layer.descriptor),
      }));
      await expect(sink.write({ ...image, layers }, ref)).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    });

    test('stops when it is cancelled', async () => {
      const { sink } = await create();
      const signal = AbortSignal.abort();
      await expect(sink.write(await sampleImage(), ref, { signal })).rejects.toMatchObject({ code: 'E_CANCELLED' });
    });

    test('streams open anew each time', async () => {
      const { back } = await written(await sampleImage());
      const [layer] = back.layers;
      expect(layer && (await collect(layer.compressed()))).toEqual(layer && (await collect(layer.compressed())));
    });
  });
}
