import { mkdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { LayerWriter } from '../../src/layers/apply.ts';
import { DirectoryTree } from '../../src/layers/directory-tree.ts';
import { IdMap } from '../../src/layers/id-map.ts';
import {
  DiskLayerLibrary,
  decompress,
  LayerDirectories,
  LayerWorkers,
  OverlaySnapshotter,
  TarDecoder,
  TarIndexer,
} from '../../src/layers/index.ts';
import { join as joinPath, type LayerTree } from '../../src/layers/layer-tree.ts';
import { MergedTree } from '../../src/layers/merged-tree.ts';
import { TarTree } from '../../src/layers/tar-tree.ts';
import { canonicalJson, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD } from '../../src/oci/index.ts';
import { runIn } from '../contract/snapshotter.ts';
import {
  buildWorker,
  canMountOverlay,
  collect,
  isRoot,
  layerOf,
  MemoryIndex,
  MemoryStore,
  scratch,
  streamOf,
  type TestEntry,
  tarBytes,
  tarLayer,
} from './support.ts';

function open(root: string) {
  const store = new MemoryStore();
  const index = new MemoryIndex();
  const directories = new LayerDirectories(root, new LayerWorkers());
  const snapshotter = new OverlaySnapshotter(directories, index);
  return { store, index, directories, library: new DiskLayerLibrary({ root, store, index, directories, snapshotter }) };
}

describe('the layer library', () => {
  const home = scratch();
  beforeAll(buildWorker);
  afterAll(home.remove);

  it('keeps a tar as a layer that is named by its bytes', async () => {
    const { library } = open(join(home.path, 'a'));
    const tar = tarBytes([{ path: 'f', body: 'hello' }]);
    const committed = await library.commitTar(streamOf(tar, 100));
    expect(committed).toEqual({ diffId: layerOf(tar).diffId, sizeBytes: tar.byteLength, isEmpty: false });
    const layer = await library.find(committed.diffId);
    expect(layer?.descriptor).toEqual({ mediaType: OCI_LAYER, digest: committed.diffId, size: tar.byteLength });
    expect(layer && (await collect(layer.uncompressed()))).toEqual(tar);
    expect(await library.commitTar(streamOf(tarBytes([])))).toMatchObject({ isEmpty: true, sizeBytes: 1024 });
  });

  it('knows nothing of layers that are not here', async () => {
    const { library } = open(join(home.path, 'none'));
    expect(await library.find(layerOf(Buffer.from('x')).diffId)).toBeUndefined();
  });

  it('compresses once, and passes on what is compressed already', async () => {
    const { library, store, index } = open(join(home.path, 'gz'));
    const tar = tarBytes([{ path: 'f', body: 'hello '.repeat(10_000) }]);
    const { diffId } = await library.commitTar(streamOf(tar));
    const layer = await library.find(diffId);
    if (!layer) throw new Error('not found');
    const [one, two] = await Promise.all([library.compressed(layer, 'gzip'), library.compressed(layer, 'gzip')]);
    expect(one.descriptor).toEqual(two.descriptor);
    expect(one.descriptor.mediaType).toBe(OCI_LAYER_GZIP);
    expect(await collect(decompress(one.compressed(), 'gzip'))).toEqual(tar);
    expect(await library.compressed(one, 'gzip')).toBe(one);
    await store.delete(layer.descriptor.digest);
    expect(index.records.get(diffId)?.blobs.map(({ compression }) => compression)).toEqual(['none', 'gzip']);
    const again = await library.find(diffId);
    if (!again) throw new Error('not found');
    expect(await collect(again.uncompressed())).toEqual(tar);
    const three = await library.compressed(again, 'zstd');
    expect(three.descriptor.mediaType).toBe(OCI_LAYER_ZSTD);
    expect(await collect(decompress(three.compressed(), 'zstd'))).toEqual(tar);
    const plain = await library.compressed(again, 'none');
    expect(plain.descriptor).toEqual({ mediaType: OCI_LAYER, digest: diffId, size: tar.byteLength });
  });

  it('answers for a chain of tars without unpacking them', async () => {
    const { library } = open(join(home.path, 'view'));
    const base = tarLayer([
      { path: 'etc/', mode: 0o711 },
      { path: 'etc/passwd', body: 'root:x:0:0' },
      { path: 'etc/old', body: '' },
      { path: 'dir/', uid: 5 },
      { path: 'dir/a', body: '' },
      { path: 'link', type: 'symlink', linkname: 'etc' },
    ]);
    const top = tarLayer([
      { path: 'etc/new', body: 'n' },
      { path: 'etc/.wh.old' },
      { path: 'dir/.wh..wh..opq' },
      { path: 'dir/b', body: '' },
      { path: 'pw', type: 'hardlink', linkname: 'etc/passwd' },
    ]);
    const view = await library.view([base, top]);
    expect(view.list('/etc')).toEqual(['new', 'passwd']);
    expect(view.list('/dir')).toEqual(['b']);
    expect(view.list('/')).toEqual(['dir', 'etc', 'link', 'pw']);
    expect(view.lstat('/etc')).toMatchObject({ type: 'directory', mode: 0o711 });
    expect(view.lstat('/link')).toMatchObject({ type: 'symlink', linkname: 'etc' });
    expect(view.lstat('/link/passwd')).toBeUndefined();
    expect(view.lstat('/etc/old')).toBeUndefined();
    expect(view.lstat('/pw')).toMatchObject({ type: 'file', size: 10, path: 'pw' });
    expect(String(await view.readFile('/pw', 100))).toBe('root:x:0:0');
    expect(String(await view.readFile('/etc/passwd', 100))).toBe('root:x:0:0');
    expect(await view.readFile('/etc', 100)).toBeUndefined();
    await expect(view.readFile('/etc/passwd', 5)).rejects.toMatchObject({ code: 'E_SIZE_MISMATCH' });
  });

  it.runIf(canMountOverlay())('finds the layer that a step left, and its tar is always the same', async () => {
    const { library, index } = open(join(home.path, 'frozen'));
    const base = tarLayer([{ path: 'etc/', mode: 0o755 }]);
    const active = await library.snapshotter.prepare([base]);
    runIn(active.mount, 'seq 100000 > etc/numbers; ln -s numbers etc/n');
    const { diffId, sizeBytes } = await active.commit({ exclude: [] });
    await active[Symbol.asyncDispose]();
    const layer = await library.find(diffId);
    if (!layer) throw new Error('not found');
    expect(layer.descriptor.size).toBe(sizeBytes);
    expect((await collect(layer.uncompressed())).byteLength).toBe(sizeBytes);
    expect(layerOf(await collect(layer.uncompressed())).diffId).toBe(diffId);
    expect(index.records.get(diffId)).toMatchObject({ tarSize: sizeBytes, blobs: [] });
    const view = await library.view([base, layer]);
    expect(view.list('/etc')).toEqual(['n', 'numbers']);
    for await (const _ of layer.uncompressed()) break; // leaving early must not block the thread
    expect((await collect(layer.uncompressed())).byteLength).toBe(sizeBytes);
  });

  it('removes what processes that are gone have left', async () => {
    const root = join(home.path, 'stale');
    const pidNamespace = readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
    const { directories } = open(root);
    mkdirSync(join(root, 'active', `${pidNamespace}-999999999-1-aa`, 'upper'), { recursive: true });
    const mine = await directories.createActive();
    expect(await directories.removeStale()).toBe(1);
    await directories.remove([mine]);
  });
});

/** Everything that a chain shows, as lines. */
function listing(tree: MergedTree, path = ''): readonly string[] {
  return tree.list(path).flatMap((name) => {
    const child = joinPath(path, name);
    const entry = tree.lookup(child)?.entry;
    if (!entry) return [];
    const { type, mode, uid, gid } = entry;
    const linkname = type === 'symlink' ? entry.linkname : undefined;
    const size = type === 'file' ? entry.size : undefined;
    const line = canonicalJson({ child, path: entry.path, type, mode: linkname ? 0 : mode, uid, gid, linkname, size });
    return [line, ...(type === 'directory' ? listing(tree, child) : [])];
  });
}

function unpacked(root: string, tar: Uint8Array): LayerTree {
  mkdirSync(root, { recursive: true });
  const writer = new LayerWriter(root, new IdMap('0 0 4294967295', '0 0 4294967295'));
  const decoder = new TarDecoder({
    entry: (entry) => writer.entry(entry),
    data: (bytes) => writer.data(bytes),
    end: () => undefined,
  });
  decoder.push(tar);
  decoder.finish();
  const tree = new DirectoryTree(root, writer.end());
  writer.close();
  return tree;
}

function indexed(tar: Uint8Array): LayerTree {
  const indexer = new TarIndexer();
  indexer.push(tar);
  indexer.finish();
  return new TarTree(layerOf(tar), indexer.entries);
}

describe.runIf(isRoot)('a layer', () => {
  const name = fc.constantFrom('a', 'b', 'c', '.wh.a', '.wh.b', '.wh..wh..opq');
  const plain = fc.constantFrom('a', 'b', 'c');
  const path = fc.tuple(fc.array(plain, { maxLength: 2 }), name).map(([parents, last]) => [...parents, last].join('/'));
  const entry: fc.Arbitrary<TestEntry> = fc.oneof(
    fc.record({ path, body: fc.constantFrom('', 'x'), mode: fc.constantFrom(0o600, 0o644) }),
    fc.record({
      path: path.map((text) => `${text}/`),
      mode: fc.constantFrom(0o700, 0o755),
      uid: fc.constantFrom(0, 7),
    }),
    fc.record({ path, type: fc.constant('symlink' as const), linkname: fc.constantFrom('a', '/b', '../c', 'a/b') }),
    fc.record({ path, type: fc.constant('hardlink' as const), linkname: fc.constantFrom('a', 'b', 'a/b') }),
  );

  it.each([
    [
      'a link that a hard link to the layer below replaces, and a name in it',
      [
        { path: 'c/c', type: 'symlink' as const, linkname: '../c' },
        { path: 'c/c/c', type: 'hardlink' as const, linkname: 'a' },
        { path: 'c/c/a', type: 'hardlink' as const, linkname: 'a' },
      ],
      'E_BAD_LAYER',
    ],
    [
      'a link that another link replaces between two names in it',
      [
        { path: 'a/', mode: 0o755 },
        { path: 'b/', mode: 0o755 },
        { path: 'to', type: 'symlink' as const, linkname: 'a' },
        { path: 'to/one', body: '' },
        { path: 'to', type: 'symlink' as const, linkname: 'b' },
        { path: 'to/two', body: '' },
      ],
      'ok',
    ],
  ] satisfies [string, TestEntry[], string][])(
    'is the same tree as an index and unpacked: %s',
    (_, entries, expected) => {
      const home = scratch();
      const tar = tarBytes(entries);
      const outcome = (make: () => LayerTree) => {
        try {
          return { code: 'ok', lines: listing(new MergedTree([make()])) };
        } catch (error) {
          return { code: error instanceof BuildError ? error.code : String(error), lines: [] };
        }
      };
      const onDisk = outcome(() => unpacked(home.path, tar));
      expect(onDisk).toEqual(outcome(() => indexed(tar)));
      expect(onDisk.code).toBe(expected);
      home.remove();
    },
  );

  it('is the same tree as an index and unpacked, alone and in a chain', () => {
    const home = scratch();
    let round = 0;
    const attempt = (make: () => LayerTree): LayerTree | string => {
      try {
        return make();
      } catch (error) {
        return error instanceof Error && 'code' in error ? String(error.code) : String(error);
      }
    };
    fc.assert(
      fc.property(fc.array(fc.array(entry, { maxLength: 8 }), { minLength: 1, maxLength: 3 }), (layers) => {
        round++;
        const tars = layers.map(tarBytes);
        const onDisk = tars.map((tar, n) => attempt(() => unpacked(join(home.path, `${round}-${n}`), tar)));
        const inTar = tars.map((tar) => attempt(() => indexed(tar)));
        const isTree = (tree: LayerTree | string): tree is LayerTree => typeof tree !== 'string';
        expect(inTar.map((tree) => (isTree(tree) ? 'ok' : tree))).toEqual(
          onDisk.map((tree) => (isTree(tree) ? 'ok' : tree)),
        );
        const seen = (trees: readonly (LayerTree | string)[]) =>
          listing(new MergedTree(trees.filter(isTree).reverse()));
        expect(seen(inTar)).toEqual(seen(onDisk));
      }),
      { numRuns: 400 },
    );
    home.remove();
  });
});
