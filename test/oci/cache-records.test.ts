import { describe, expect, it } from 'vitest';
import {
  CACHE_ANNOTATION,
  type CarriedRecord,
  cacheKeyFrom,
  cacheRecordsOf,
  createImage,
  encodeCacheRecords,
  type Image,
  type Layer,
} from '../../src/oci/index.ts';
import { layerOf } from '../layers/support.ts';

const platform = { os: 'linux', architecture: 'amd64' } as const;

const imageWith = (text: string | undefined, layers: readonly Layer[]): Image =>
  createImage({
    format: 'oci',
    config: { ...platform, config: {}, rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) } },
    layers,
    ...(text === undefined ? {} : { annotations: { [CACHE_ANNOTATION]: text } }),
  });

describe('what an image says that its layers were made from', () => {
  const [own, other] = [layerOf(Buffer.from('one')), layerOf(Buffer.from('two'))];
  const record = (name: string, layer?: Layer): CarriedRecord => ({
    key: cacheKeyFrom(name),
    created: '2024-01-02T03:04:05Z',
    ...(layer ? { layer: { diffId: layer.diffId, sizeBytes: 3 } } : {}),
  });

  it('is read as it was written, for the layers that the image has', () => {
    const records = [record('run', own), record('workdir')];
    expect(cacheRecordsOf(imageWith(encodeCacheRecords(records), [own]))).toEqual(records);
    const stranger = encodeCacheRecords([record('run', other), record('workdir')]);
    expect(cacheRecordsOf(imageWith(stranger, [own]))).toEqual([record('workdir')]);
  });

  it('may be nothing', () => {
    expect(cacheRecordsOf(imageWith(undefined, [own]))).toBeUndefined();
  });

  it.each(['', 'text', '{}', '[1]', '[["key"]]', `[["${cacheKeyFrom('x')}","yesterday"]]`, '[null]'])(
    'is refused where nobody wrote it: %s',
    (text) => {
      expect(() => cacheRecordsOf(imageWith(text, [own]))).toThrow(/annotation "tsbuild.cache.v1" cannot be read/);
    },
  );
});
