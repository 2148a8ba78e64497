import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { digestOf, parseLocalName } from '../../src/oci/index.ts';
import { openStore, type Store } from '../../src/store/index.ts';
import { requires } from '../support/requires.ts';
import { collect, decompress, layerOf, randomPayload, sampleImage, streamOf, tarOf } from '../support/sample-images.ts';

let scratch = '';
let program = '';
let root = '';
let store: Store;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tsbuild-processes-'));
  program = join(scratch, 'program.mjs');
  const entry = join(import.meta.dirname, 'process-program.ts');
  await build({ entryPoints: [entry], outfile: program, bundle: true, platform: 'node', format: 'esm' });
});
afterAll(() => rm(scratch, { recursive: true, force: true }));
beforeEach(async () => {
  root = await mkdtemp(join(scratch, 'root-'));
  store = openStore(root, () => ({ decompress }));
});

const start = (...args: readonly string[]): ChildProcess =>
  spawn(process.execPath, [program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });

async function ended(child: ChildProcess): Promise<void> {
  child.stdout?.resume();
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
}

async function said(child: ChildProcess, text: string): Promise<void> {
  for (;;) {
    const [chunk] = child.stdout ? await once(child.stdout, 'data') : [text];
    if (String(chunk).includes(text)) return;
  }
}

describe('several processes on one store', () => {
  test('ingest the same blobs', async () => {
    await Promise.all(['once', 'once', 'twice', 'twice'].map((how) => ended(start('ingest', root, how))));
    expect(await store.blobs.list()).toHaveLength(2);
    for (const digest of await store.blobs.list()) {
      const size = (await store.blobs.stat(digest))?.size ?? 0;
      expect(digestOf(await collect(store.blobs.open({ digest, size })))).toBe(digest);
    }
    expect(await readdir(join(root, 'ingest'))).toEqual([]);
  });

  test('give the same name to their images', async () => {
    await Promise.all(['A', 'B', 'C'].map((name) => ended(start('tag', root, name))));
    const image = await store.images.find('app');
    expect(image.config.config?.Env?.[0]).toMatch(/^[ABC]=9$/);
    expect(await store.images.tags()).toHaveLength(1);
    expect(await store.images.list()).toHaveLength(30);
  });

  test('write images while others prune', async () => {
    await Promise.all([
      ended(start('tag', root, 'A')),
      ended(start('prune', root)),
      ended(start('tag', root, 'B')),
      ended(start('prune', root)),
    ]);
    const image = await store.images.find('app');
    for (const layer of image.layers) await collect(layer.uncompressed());
  });

  test('protect by their leases what they use', async () => {
    const holder = start('hold', root);
    await said(holder, 'held');
    await store.images.write(await sampleImage(), parseLocalName('app'));
    await store.images.remove('app');
    await sleep(50);
    expect((await store.prune({ all: true })).removed).toBe(0);
    holder.stdin?.end();
    await ended(holder);
    expect((await store.prune({ all: true })).removed).toBe(4);
  });
});

describe('a process that is killed while it ingests', () => {
  test('leaves no blob, and the next one clears its temporary file away', async () => {
    const child = start('half', root);
    await said(child, 'half');
    await sleep(20);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await store.blobs.list()).toEqual([]);
    expect(await readdir(join(root, 'ingest'))).toHaveLength(1);
    await sleep(50);
    await store.withLease(async () => expect(await readdir(join(root, 'ingest'))).toEqual([]));
    expect(await readdir(join(root, 'leases'))).toEqual([]);
  });
});

const mayMount = (() => {
  try {
    execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
})();

describe.runIf(requires('mounting a tmpfs (root)', mayMount))('a full disk', () => {
  let mounted = '';
  beforeAll(() => {
    mounted = join(scratch, 'small');
    mkdirSync(mounted);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mounted]);
  });
  afterAll(() => execFileSync('umount', [mounted]));

  test('is an error that names directory, needed and free bytes, and leaves the store intact', async () => {
    const small = openStore(join(mounted, 'store'), () => ({ decompress }));
    const image = await sampleImage();
    await small.images.write(image, parseLocalName('small'));
    const large = await tarOf({ large: randomPayload(2_000_000) });
    const { descriptor, compressed } = layerOf(large);
    await expect(small.blobs.ingest(compressed(), descriptor)).rejects.toMatchObject({
      code: 'E_NO_SPACE',
      exitCode: 9,
      message: expect.stringMatching(
        new RegExp(
          `^Cannot write a blob: no space left in "${small.paths.ingest}" \\(\\d+ bytes needed, \\d+ bytes free\\)$`,
        ),
      ),
      hint: expect.stringContaining('tsbuild prune'),
    });
    expect(await readdir(small.paths.ingest)).toEqual([]);
    const back = await small.images.find('small');
    for (const layer of back.layers) await collect(layer.uncompressed());
    await small.blobs.ingest(streamOf('there is room again'));
  });
});
