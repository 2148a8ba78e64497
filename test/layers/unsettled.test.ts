import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DiskLayerLibrary, LayerDirectories, LayerWorkers, OverlaySnapshotter } from '../../src/layers/index.ts';
import type { Layer } from '../../src/oci/index.ts';
import { runIn } from '../contract/snapshotter.ts';
import { buildWorker, canMountOverlay, isRoot, MemoryIndex, MemoryStore, scratch, tarLayer } from './support.ts';

const OTHER_BOOT = '6f4c8d1e-0000-4000-8000-000000000000';

function open(root: string) {
  const [store, index] = [new MemoryStore(), new MemoryIndex()];
  const directories = new LayerDirectories(root, new LayerWorkers());
  const snapshotter = new OverlaySnapshotter(directories, index);
  const library = new DiskLayerLibrary({ root, store, index, directories, snapshotter });
  return { directories, library, active: () => readdirSync(join(root, 'active')) };
}

/** What a power cut leaves: the directory has its name, its files are cut off, and the machine was started anew. */
function cutPower(layer: string, { files = ['fs/f', 'meta.json'], boot = OTHER_BOOT } = {}): void {
  for (const file of files) writeFileSync(join(layer, file), '');
  writeFileSync(join(layer, 'boot'), boot);
}

const base = tarLayer([{ path: 'f', body: 'hello' }]);

describe.runIf(isRoot)('a layer whose files are not known to be on the disk', () => {
  const home = scratch();
  beforeAll(buildWorker);
  afterAll(home.remove);

  it('is used in the same boot', async () => {
    const root = join(home.path, 'same');
    const [path = ''] = await open(root).directories.materialize([base]);
    expect(existsSync(join(path, 'boot'))).toBe(true);
    writeFileSync(join(path, 'fs/f'), 'as it is');
    expect(await open(root).directories.materialize([base])).toEqual([path]);
    expect(readFileSync(join(path, 'fs/f'), 'utf8')).toBe('as it is');
  });

  it.each([OTHER_BOOT, ''])('is unpacked again after another boot', async (boot) => {
    const root = join(home.path, `other${boot}`);
    const [path = ''] = await open(root).directories.materialize([base]);
    cutPower(path, { boot });
    const { directories, active } = open(root);
    expect(directories.lookup(base.diffId)).toBeUndefined();
    expect(await directories.materialize([base])).toEqual([path]);
    expect(readFileSync(join(path, 'fs/f'), 'utf8')).toBe('hello');
    expect(directories.lookup(base.diffId)?.meta.kind).toBe('applied');
    expect(active()).toEqual([]);
  });

  it('is kept once it is on the disk', async () => {
    const { directories } = open(join(home.path, 'settled'));
    const [path = ''] = await directories.materialize([base]);
    await directories.workers.run<'settle'>({ kind: 'settle', layers: [], others: [path] });
    expect(readdirSync(path).sort()).toEqual(['fs', 'meta.json']);
    expect(directories.lookup(base.diffId)?.path).toBe(path);
  });

  describe.runIf(canMountOverlay())('that a step left', () => {
    async function step(root: string, script: string): Promise<{ readonly layer: Layer; readonly path: string }> {
      const { library, directories } = open(root);
      await using active = await library.snapshotter.prepare([base]);
      runIn(active.mount, script);
      const { diffId } = await active.commit({ exclude: [] });
      const layer = await library.find(diffId);
      if (!layer) throw new Error('not found');
      return { layer, path: directories.pathOf(diffId) };
    }

    it.each([
      ['few files', 'echo new > g; mkdir d; ln -s nowhere d/l; mkfifo d/p'],
      ['many files', 'mkdir d; for i in $(seq 200); do echo $i > d/$i; done'],
    ])('is settled with %s, and then survives', async (_, script) => {
      const root = join(home.path, script.slice(0, 4));
      const { layer, path } = await step(root, script);
      expect(existsSync(join(path, 'boot'))).toBe(true);
      const { library } = open(root);
      await library.settle([base, layer]);
      expect(readdirSync(path).sort()).toEqual(['fs', 'meta.json']);
      expect(await library.find(layer.diffId)).toBeDefined();
    });

    it('is gone after another boot, and gives way to what the step leaves when it runs again', async () => {
      const root = join(home.path, 'gone');
      const script = 'echo new > f; touch -d @1600000000 f';
      const { layer, path } = await step(root, script);
      cutPower(path);
      const { library, active } = open(root);
      expect(await library.find(layer.diffId)).toBeUndefined();
      await library.settle([layer]); // nothing of it can be saved
      expect((await step(root, script)).layer.diffId).toBe(layer.diffId);
      expect(readFileSync(join(path, 'fs/f'), 'utf8')).toBe('new\n');
      expect(active()).toEqual([]);
    });
  });
});
