import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { digestOf, hexOf, type Image, OCI_INDEX, parseReference, readAll } from '../../src/oci/index.ts';
import { DirectoryImage } from '../../src/store/index.ts';
import { decompress, sampleImage } from '../support/sample-images.ts';
import { tempDir } from '../support/temp-dir.ts';

const ref = parseReference('a/b');
const amd64 = { os: 'linux', architecture: 'amd64' };

/** As containers/image writes `dir:`, but for the manifest. */
async function writeBlobs(directory: string, image: Image): Promise<void> {
  writeFileSync(join(directory, hexOf(image.configDescriptor.digest)), image.rawConfig);
  for (const { descriptor, compressed } of image.layers)
    writeFileSync(join(directory, hexOf(descriptor.digest)), await readAll(compressed(), 2 ** 20));
}

const open = (directory: string, platform = amd64): Promise<Image> =>
  new DirectoryImage({ directory, decompress }).resolve(ref, platform);

describe('dir:', () => {
  it('has one image, whose manifest is manifest.json', async () => {
    const directory = tempDir();
    const image = await sampleImage({ compression: 'gzip' });
    await writeBlobs(directory, image);
    writeFileSync(join(directory, 'manifest.json'), image.rawManifest);
    const read = await open(directory);
    expect(read.descriptor).toEqual(image.descriptor);
    for (const layer of read.layers) await readAll(layer.uncompressed(), 2 ** 20);
  });

  it('may have an index, and then an image for each platform; attestations are none (8.5 #125)', async () => {
    const directory = tempDir();
    const image = await sampleImage({ compression: 'gzip' });
    await writeBlobs(directory, image);
    writeFileSync(join(directory, `${hexOf(image.descriptor.digest)}.manifest.json`), image.rawManifest);
    const attestation = { ...image.descriptor, digest: digestOf('attestation') };
    const manifests = [
      { ...attestation, platform: { os: 'unknown', architecture: 'unknown' } },
      { ...image.descriptor, platform: amd64 },
    ];
    const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
    writeFileSync(join(directory, 'manifest.json'), index);
    expect((await open(directory)).descriptor.digest).toBe(image.descriptor.digest);
    await expect(open(directory, { os: 'linux', architecture: 's390x' })).rejects.toMatchObject({
      code: 'E_NO_PLATFORM',
      hint: expect.stringMatching(/: linux\/amd64$/),
    });
  });

  it('refuses what is not what it says', async () => {
    const directory = tempDir();
    await expect(open(directory)).rejects.toMatchObject({ code: 'E_NO_IMAGE', hint: expect.any(String) });
    const image = await sampleImage({ compression: 'gzip' });
    await writeBlobs(directory, image);
    writeFileSync(join(directory, 'manifest.json'), image.rawManifest);
    writeFileSync(join(directory, hexOf(image.configDescriptor.digest)), '{}');
    await expect(open(directory)).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    writeFileSync(join(directory, 'manifest.json'), '{');
    await expect(open(directory)).rejects.toMatchObject({ code: 'E_BAD_MANIFEST' });
  });
});
