import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { hashSources } from '../../src/executor/content-hash.ts';
import { copyLayer } from '../../src/executor/copy-layer.ts';
import { CopyReuse } from '../../src/executor/copy-reuse.ts';
import { FileHasher } from '../../src/executor/file-hasher.ts';
import { selectSources } from '../../src/executor/selection.ts';
import type { SourceRoot } from '../../src/executor/source-root.ts';
import { digestOf, parseDiffId } from '../../src/oci/index.ts';
import { memoryView } from '../support/memory-view.ts';
import { tempDir } from '../support/temp-dir.ts';
import { copyOp, sourceRoot } from './support/copying.ts';

// What is younger than two seconds is not remembered, and a ctime cannot be set.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

function context(): string {
  const directory = tempDir();
  for (let i = 0; i < 400; i++) {
    mkdirSync(join(directory, `src/d${i % 7}`), { recursive: true });
    writeFileSync(join(directory, `src/d${i % 7}/f${i}`), `${i}\n`.repeat(i * 10));
  }
  writeFileSync(join(directory, 'src/large'), 'abcdefg\n'.repeat(400_000));
  return directory;
}

interface Place {
  readonly directory: string;
  /** Where the caches and tars are. */
  readonly home: string;
}

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Copies the context as a build does, with `--no-cache` or not; `meanwhile` happens between looking at the files and writing the layer. */
async function copy({ directory, home }: Place, isFresh: boolean, meanwhile = () => {}) {
  const op = copyOp(['src'], '/app');
  const hasher = new FileHasher(join(home, 'stat-cache'));
  const root: SourceRoot = { ...sourceRoot(directory), xattrsOf: (file, stat) => hasher.xattrs(file, stat) };
  const sources = selectSources(op, () => root);
  hashSources(sources, hasher);
  const tarFile = async () => join(home, 'tar');
  using reuse = await CopyReuse.open({ hasher, library: { tarFile }, slot: 'slot', isFresh });
  meanwhile();
  const tar = await collect(await copyLayer({ op, sources, view: memoryView({}), inlineMtime: 0, reuse }));
  const diffId = parseDiffId(digestOf(tar));
  writeFileSync(join(home, 'tar'), tar);
  reuse.keep(diffId);
  hasher.save();
  return tar;
}

it('takes files that have not changed from the layer that the step made before, and reads the others', async () => {
  const place = { directory: context(), home: tempDir() };
  const tar = await copy(place, true);
  const gone = () => rmSync(place.directory, { recursive: true });
  writeFileSync(join(place.directory, 'src/d1/f1'), 'changed');
  writeFileSync(join(place.directory, 'src/d0/new'), 'new');
  rmSync(join(place.directory, 'src/d2/f2'));
  const fresh = await copy({ ...place, home: tempDir() }, true);
  const second = await copy(place, false);
  expect(second.equals(tar)).toBe(false);
  expect(second.equals(fresh)).toBe(true);
  // all is remembered now: not a file is opened
  expect((await copy(place, false, gone)).equals(fresh)).toBe(true);
});

it('reads files again where the earlier layer is damaged, another one, or gone', async () => {
  const place = { directory: context(), home: tempDir() };
  const tar = await copy(place, true);
  const damaged = Buffer.from(tar);
  damaged[damaged.length - 1_000_000] = 0;
  damaged.write('damaged', 2_100_000);
  writeFileSync(join(place.home, 'tar'), damaged);
  expect((await copy(place, false)).equals(tar)).toBe(true);
  writeFileSync(join(place.home, 'tar'), tar.subarray(0, 1_500_000));
  expect((await copy(place, false)).equals(tar)).toBe(true);
  rmSync(join(place.home, 'tar'));
  expect((await copy(place, false)).equals(tar)).toBe(true);
  writeFileSync(join(place.home, 'tar'), await copy({ directory: context(), home: tempDir() }, true));
  expect((await copy(place, false)).equals(tar)).toBe(true);
});

it('takes nothing of a file that changed, even where size and time are as before', async () => {
  const place = { directory: context(), home: tempDir() };
  await copy(place, true);
  const file = join(place.directory, 'src/large');
  const bytes = readFileSync(file);
  bytes[5] = 0;
  writeFileSync(file, bytes);
  appendFileSync(join(place.home, 'stat-cache'), '\0garbage');
  const tar = await copy(place, false);
  expect(tar.includes(bytes.subarray(0, 600_000))).toBe(true);
});
