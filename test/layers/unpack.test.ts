import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LayerDirectories, LayerWorkers } from '../../src/layers/index.ts';
import type { FileGrowth, Layer, LayerFile } from '../../src/oci/index.ts';
import { buildWorker, isRoot, layerOf, scratch, tarBytes } from './support.ts';

const BODY = Buffer.alloc(400_000, 'some bytes of a file ');
const TAR = tarBytes([{ path: 'etc/' }, { path: 'etc/file', body: BODY }, { path: 'last', body: 'end' }]);
const unused = (): never => {
  throw new Error('the file has it');
};

/** The layer of TAR, but for what is in the file. */
const fileLayer = (file: () => Promise<LayerFile | undefined>): Layer => ({
  ...layerOf(TAR),
  compressed: unused,
  uncompressed: unused,
  file,
});

const fine = async (): Promise<void> => undefined;

describe.runIf(isRoot)('unpacking a layer from its file', () => {
  const home = scratch();
  beforeAll(buildWorker);
  afterAll(home.remove);

  const open = (name: string) => new LayerDirectories(join(home.path, name), new LayerWorkers({ limit: 2 }));
  const path = (name: string) => join(home.path, name);

  async function expectUnpacked(directories: LayerDirectories, layer: Layer): Promise<void> {
    const [directory = ''] = await directories.materialize([layer]);
    expect(readFileSync(join(directory, 'fs/etc/file'))).toEqual(BODY);
    expect(readFileSync(join(directory, 'fs/last'), 'utf8')).toBe('end');
    expect(directories.lookup(layer.diffId)?.meta).toMatchObject({ kind: 'applied', tarSize: TAR.length });
  }

  it.each([
    ['none', TAR],
    ['gzip', gzipSync(TAR)],
  ] as const)('reads it as a stream of kind %s', async (compression, bytes) => {
    writeFileSync(path(`whole-${compression}`), bytes);
    const file: LayerFile = { path: path(`whole-${compression}`), compression, check: fine };
    await expectUnpacked(
      open(compression),
      fileLayer(async () => file),
    );
  });

  it('follows a file that grows, also when it moves meanwhile', async () => {
    const bytes = gzipSync(TAR, { level: 0 });
    const at = path('growing');
    writeFileSync(at, bytes.subarray(0, 100_000));
    const listeners: ((size: number) => void)[] = [];
    let finish: (where: 'here') => void = () => undefined;
    const whole = new Promise<'here'>((resolve) => {
      finish = resolve;
    });
    const growth: FileGrowth = {
      whole,
      watch(listener) {
        listeners.push(listener);
        listener(100_000);
      },
    };
    const unpacked = expectUnpacked(
      open('growing-store'),
      fileLayer(async () => ({ path: at, compression: 'gzip', growth, check: fine })),
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    appendFileSync(at, bytes.subarray(100_000, 300_000));
    for (const listener of listeners) listener(300_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    appendFileSync(at, bytes.subarray(300_000));
    finish('here');
    await unpacked;
  });

  it('unpacks many files in one thread, however long each of them takes to come', async () => {
    const workers = new LayerWorkers({ limit: 1 });
    const directories = new LayerDirectories(path('shared'), workers);
    const finish: ((where: 'here') => void)[] = [];
    const layers = Array.from({ length: 6 }, (_, index): Layer => {
      const tar = tarBytes([{ path: 'f', body: `${index}` }]);
      writeFileSync(path(`shared-${index}`), tar);
      const whole = new Promise<'here'>((resolve) => finish.push(resolve));
      const growth: FileGrowth = { watch: (listener) => listener(100), whole };
      const file = { path: path(`shared-${index}`), compression: 'none', growth, check: fine } as const;
      return { ...layerOf(tar), compressed: unused, uncompressed: unused, file: async () => file };
    });
    const all = Promise.all(layers.map((layer) => directories.materialize([layer])));
    for (const end of finish.slice(0, 4).reverse()) {
      end('here');
      await workers.run<'measure'>({ kind: 'measure', path: path('shared-0') }); // the thread does other work meanwhile
    }
    for (const end of finish.slice(4)) end('here');
    const contents = (await all).map(([directory]) => readFileSync(join(directory ?? '', 'fs/f'), 'utf8'));
    expect(contents).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  it('stops in the middle of a file when it is cancelled', async () => {
    const controller = new AbortController();
    const workers = new LayerWorkers({ limit: 1, signal: controller.signal });
    const directories = new LayerDirectories(path('cancelled'), workers);
    writeFileSync(path('never'), TAR.subarray(0, 10_000));
    const growth: FileGrowth = { watch: (listener) => listener(10_000), whole: new Promise(() => undefined) };
    const layer = fileLayer(async () => ({ path: path('never'), compression: 'none', growth, check: fine }));
    const unpacked = directories.materialize([layer]);
    setTimeout(() => controller.abort(), 100);
    await expect(unpacked).rejects.toMatchObject({ code: 'E_CANCELLED' });
    expect(readdirSync(path('cancelled/active'))).toEqual([]);
    await expect(directories.materialize([layer])).rejects.toMatchObject({ code: 'E_CANCELLED' });
  });

  it('begins anew where the bytes come in another file', async () => {
    writeFileSync(path('first'), TAR.subarray(0, 10_000));
    writeFileSync(path('second'), TAR);
    const growth: FileGrowth = { watch: (listener) => listener(10_000), whole: Promise.resolve('elsewhere') };
    const files: LayerFile[] = [
      { path: path('first'), compression: 'none', growth, check: fine },
      { path: path('second'), compression: 'none', check: fine },
    ];
    await expectUnpacked(
      open('elsewhere'),
      fileLayer(async () => files.shift()),
    );
  });

  it('keeps nothing of a file that cannot be had whole, and says why', async () => {
    const directories = open('broken');
    writeFileSync(path('part'), TAR.subarray(0, 10_000));
    const whole = Promise.reject(new Error('the connection broke'));
    whole.catch(() => undefined); // awaited later
    const growth: FileGrowth = { watch: (listener) => listener(10_000), whole };
    const layer = fileLayer(async () => ({ path: path('part'), compression: 'none', growth, check: fine }));
    await expect(directories.materialize([layer])).rejects.toThrow('the connection broke');
    expect(existsSync(directories.pathOf(layer.diffId))).toBe(false);
    expect(readdirSync(join(home.path, 'broken/active'))).toEqual([]);
  });

  it('says of wrong bytes what whoever brings them finds out at their end', async () => {
    const directories = open('wrong');
    writeFileSync(path('garbage'), Buffer.alloc(20_000, 'x'));
    const whole = new Promise<never>((_, reject) => setTimeout(() => reject(new Error('another digest')), 200));
    whole.catch(() => undefined); // awaited later
    const growth: FileGrowth = { watch: (listener) => listener(20_000), whole };
    const layer = fileLayer(async () => ({ path: path('garbage'), compression: 'gzip', growth, check: fine }));
    await expect(directories.materialize([layer])).rejects.toThrow('another digest');
  });

  it('keeps nothing of a tar that is not the layer, and asks whether the file is damaged', async () => {
    const directories = open('other');
    writeFileSync(path('other-tar'), tarBytes([{ path: 'evil', body: 'x' }]));
    const layer = (check: () => Promise<void>) =>
      fileLayer(async () => ({ path: path('other-tar'), compression: 'none', check }));
    await expect(directories.materialize([layer(fine)])).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    const damaged = async (): Promise<void> => {
      throw new Error('the blob is damaged');
    };
    await expect(directories.materialize([layer(damaged)])).rejects.toThrow('the blob is damaged');
    expect(existsSync(directories.pathOf(layer(fine).diffId))).toBe(false);
  });
});
