import { expect, it } from 'vitest';
import { type AssembleOptions, assembleImage, forFormat } from '../../src/executor/assemble.ts';
import type { StepResult } from '../../src/executor/executor.ts';
import { type BuildGraph, lower } from '../../src/graph/index.ts';
import type { Layer } from '../../src/oci/index.ts';
import { parseContainerfile } from '../../src/parser/index.ts';
import { layerOf } from '../layers/support.ts';

const TEXT = 'FROM scratch\nENV a=1\nRUN one\nLABEL b=2\nRUN two\n';
const layers = ['one', 'two'].map((text) => layerOf(Buffer.from(text)));

function graph(): BuildGraph {
  const platform = { os: 'linux', architecture: 'amd64' } as const;
  const file = parseContainerfile({ name: 'Containerfile', text: TEXT });
  return lower(
    file,
    {
      target: undefined,
      buildArgs: {},
      labels: {},
      platform,
      buildPlatform: platform,
      network: 'default',
      contexts: new Map(),
    },
    new Map(),
  );
}

function assemble(options: AssembleOptions, isCached = false) {
  const built = graph();
  const second: StepResult = { chain: layers, created: '2020-02-02T00:00:00Z', hasLayer: true, isCached };
  const first: StepResult = { ...second, chain: layers.slice(0, 1), created: '2020-01-01T00:00:00Z' };
  const [parent] = built.target.inputs;
  return assembleImage(
    built,
    new Map([[built.target.id, second], ...(parent ? [[parent.id, first] as const] : [])]),
    options,
  );
}

it('has as many histories with a layer as layers, in order, with the times of the steps (8.5 #121)', () => {
  const { config } = assemble({ format: 'oci' });
  expect(config.rootfs.diff_ids).toEqual(layers.map(({ diffId }) => diffId));
  expect(config.history?.map((entry) => entry.empty_layer === true)).toEqual([true, false, true, false]);
  expect(config.created).toBe('2020-02-02T00:00:00Z');
  expect(config.history?.[1]?.created).toBe('2020-01-01T00:00:00Z');
});

it('gives the same bytes from the cache', () => {
  expect(assemble({ format: 'oci' }, true).descriptor).toEqual(assemble({ format: 'oci' }).descriptor);
});

it('takes all times from SOURCE_DATE_EPOCH (8.5 #123)', () => {
  const { config } = assemble({ format: 'oci', fixedTime: 1 });
  const steps = config.history?.filter((entry) => entry.empty_layer !== true).map((entry) => entry.created);
  expect([config.created, ...(steps ?? [])]).toEqual(Array(3).fill('1970-01-01T00:00:01Z'));
});

it('gives the base the histories that it lacks', () => {
  const built = { ...graph(), history: [] };
  const result: StepResult = { chain: layers, hasLayer: false, isCached: true };
  const { config } = assembleImage(built, new Map([[built.target.id, result]]), { format: 'oci' });
  expect(config.history).toHaveLength(2);
});

const typed = (mediaType: string): Layer => {
  const layer = layerOf(Buffer.from('x'));
  return { ...layer, descriptor: { ...layer.descriptor, mediaType } };
};

it.each([
  ['application/vnd.oci.image.layer.v1.tar+gzip', 'application/vnd.docker.image.rootfs.diff.tar.gzip'],
  [
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  ],
])('types %s for Docker', (from, to) => {
  expect(forFormat(typed(from), 'docker').descriptor.mediaType).toBe(to);
});

it.each([
  ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'application/vnd.oci.image.layer.v1.tar+gzip'],
  ['application/vnd.docker.image.rootfs.diff.tar', 'application/vnd.oci.image.layer.v1.tar'],
  ['application/vnd.oci.image.layer.v1.tar+zstd', 'application/vnd.oci.image.layer.v1.tar+zstd'],
])('types %s of a base for OCI, and keeps its bytes (8.5 #126)', (from, to) => {
  const layer = typed(from);
  const { descriptor } = forFormat(layer, 'oci');
  expect(descriptor).toEqual({ ...layer.descriptor, mediaType: to });
});

it('refuses zstd layers in the Docker format', () => {
  expect(() => forFormat(typed('application/vnd.oci.image.layer.v1.tar+zstd'), 'docker')).toThrow(/no zstd layers/);
});
