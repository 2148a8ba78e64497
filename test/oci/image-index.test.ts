import { describe, expect, it } from 'vitest';
import {
  createImage,
  createIndex,
  digestOf,
  type ImageConfig,
  imagesOf,
  isIndexDocument,
  parseManifest,
  withImage,
} from '../../src/oci/index.ts';

const imageFor = (platform: Pick<ImageConfig, 'os' | 'architecture'> & Partial<ImageConfig>) =>
  createImage({ format: 'oci', config: { ...platform, rootfs: { type: 'layers', diff_ids: [] } }, layers: [] });

const amd64 = imageFor({ os: 'linux', architecture: 'amd64' });
const arm = imageFor({ os: 'linux', architecture: 'arm', variant: 'v7' });
const windows = imageFor({ os: 'windows', architecture: 'amd64', 'os.version': '10.0.1', 'os.features': ['win32k'] });

describe('an index that we author', () => {
  it('lists the images in the order given, with their platforms', () => {
    const index = createIndex([windows, arm, amd64], 'oci');
    const document = parseManifest(index.rawManifest);
    expect(document).toMatchObject({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json' });
    expect(isIndexDocument(document) && document.manifests).toEqual([
      {
        ...windows.descriptor,
        platform: { os: 'windows', architecture: 'amd64', 'os.version': '10.0.1', 'os.features': ['win32k'] },
      },
      { ...arm.descriptor, platform: { os: 'linux', architecture: 'arm', variant: 'v7' } },
      { ...amd64.descriptor, platform: { os: 'linux', architecture: 'amd64' } },
    ]);
    expect(index.descriptor).toEqual({
      mediaType: document.mediaType,
      digest: digestOf(index.rawManifest),
      size: index.rawManifest.byteLength,
    });
  });

  it('lists a manifest once, and has the same bytes for the same images', () => {
    const index = createIndex([amd64, arm, amd64], 'oci');
    expect(imagesOf(index)).toEqual([amd64, arm]);
    expect(createIndex([amd64, arm], 'oci').descriptor).toEqual(index.descriptor);
    expect(createIndex([arm, amd64], 'oci').descriptor).not.toEqual(index.descriptor);
  });

  it('is a manifest list in the Docker format', () => {
    const { mediaType } = createIndex([amd64, arm], 'docker').descriptor;
    expect(mediaType).toBe('application/vnd.docker.distribution.manifest.list.v2+json');
  });

  it('takes an image in the place of that of the same platform', () => {
    const newer = imageFor({ os: 'linux', architecture: 'amd64', author: 'me' });
    expect(withImage([amd64, arm], newer)).toEqual([arm, newer]);
    expect(withImage([], amd64)).toEqual([amd64]);
  });
});
