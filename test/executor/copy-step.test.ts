import {
  chmodSync,
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Selection, selectFromContext } from '../../src/executor/copy-selection.ts';
import { FileHasher } from '../../src/executor/file-hasher.ts';
import { copyStep } from '../../src/executor/ops/copy.ts';
import { ReadLog } from '../../src/executor/read-log.ts';
import { closeSource } from '../../src/executor/source-cursor.ts';
import type { SourceRoot } from '../../src/executor/source-root.ts';
import type { CopyOp } from '../../src/graph/index.ts';
import type { NewPatch } from '../../src/layers/index.ts';
import { lsetxattr } from '../../src/layers/syscalls.ts';
import { cacheKeyFrom, type DiffId, digestOf, type MtimeRule, parseDiffId } from '../../src/oci/index.ts';
import { collect } from '../layers/tar/archives.ts';
import { memoryView } from '../support/memory-view.ts';
import { tempDir } from '../support/temp-dir.ts';
import { copyOp, range, sourceRoot } from './support/copying.ts';
import { type Edit, edit } from './support/edits.ts';

const MINUTE = 60_000;

// What is younger than two seconds is not remembered, and a ctime cannot be set.
const settle = () => vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + MINUTE });
beforeEach(settle);
afterEach(() => {
  vi.useRealTimers();
});

const LARGE = 'abcdefg\n'.repeat(400_000);
/** A tree is copied faster than it is made. */
let template = '';

beforeAll(() => {
  template = mkdtempSync(join(tmpdir(), 'tsbuild-test-'));
  for (let i = 0; i < 300; i++) {
    mkdirSync(join(template, `src/d${i % 7}`), { recursive: true });
    writeFileSync(join(template, `src/d${i % 7}/f${i}`), `${i}\n`.repeat(i * 10));
  }
  // in a tar this one is in front of what is in d1, in a walk behind
  writeFileSync(join(template, 'src/d1.c'), 'd1');
  writeFileSync(join(template, 'src/a\nb'), 'newline');
  writeFileSync(join(template, 'src/large'), LARGE);
  symlinkSync('large', join(template, 'src/link'));
});
afterAll(() => rmSync(template, { recursive: true }));

function context(): string {
  const directory = tempDir();
  cpSync(template, directory, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  return directory;
}

interface Place {
  readonly directory: string;
  /** Where the caches and tars are. */
  readonly home: string;
}

interface Copying {
  readonly op?: CopyOp;
  readonly view?: ReturnType<typeof memoryView>;
  readonly mtimeRule?: MtimeRule;
  /** Happens when the files were selected. */
  readonly meanwhile?: () => void;
}

interface Copied {
  readonly tar: Buffer;
  /** All files were gone through. */
  readonly isWhole: boolean;
  readonly warnings: readonly string[];
}

const SOURCE = copyOp(['src'], '/app');

/** As a build does; a damaged earlier layer is tried twice. */
async function copy(
  { directory, home }: Place,
  { op = SOURCE, view, mtimeRule, meanwhile }: Copying = {},
): Promise<Copied> {
  const hasher = new FileHasher(join(home, 'stat-cache'));
  const root: SourceRoot = { ...sourceRoot(directory), isLasting: true, log: new ReadLog() };
  const warnings: string[] = [];
  let isWhole = false;
  const patched = new Map<DiffId, Buffer>();
  const library = {
    view: async () => view ?? memoryView({}),
    tarFile: async (diffId: string) => join(home, diffId),
    commitTar: async (made: AsyncIterable<Uint8Array>) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of made) chunks.push(Uint8Array.from(chunk));
      const tar = Buffer.concat(chunks);
      const diffId = parseDiffId(digestOf(tar));
      writeFileSync(join(home, diffId), tar);
      return { diffId, sizeBytes: tar.length, isEmpty: false };
    },
    commitPatch: async (diffId: DiffId, { base, pieces, parts }: NewPatch) => {
      const from = { base: readFileSync(join(home, base.digest)), pieces: await collect(pieces) };
      const tar = Buffer.concat(parts.map(([of, start, length]) => from[of].subarray(start, start + length)));
      expect(digestOf(tar)).toBe(diffId);
      expect(from.pieces.length).toBeLessThan(tar.length);
      patched.set(diffId, tar);
      return { diffId, sizeBytes: tar.length, isEmpty: false };
    },
  };
  const selected = selectFromContext(op, () => root, { hasher, slot: 'slot', isFresh: false });
  meanwhile?.();
  const selection: Selection = {
    digest: selected.digest,
    lines: [],
    seen: selected.seen,
    get sources() {
      isWhole = true;
      return selected.sources;
    },
  };
  const step = () =>
    copyStep({
      node: { slot: 'slot', range },
      op,
      parent: [],
      selection,
      basis: cacheKeyFrom(JSON.stringify([op, mtimeRule, view !== undefined])),
      library,
      hasher,
      mtimeRule,
      inlineMtime: 0,
      isFresh: false,
      likely: undefined,
      emit: (event) => void (event.type === 'warning' && warnings.push(event.message)),
      signal: new AbortController().signal,
    });
  const { diffId } = await step().catch((error) => {
    if (error.code !== 'E_CORRUPT_STORE') throw error;
    return step();
  });
  hasher.save();
  closeSource(root);
  return { tar: patched.get(diffId) ?? readFileSync(join(home, diffId)), isWhole, warnings };
}

/** What a build makes that remembers nothing. */
const fresh = async (place: Place, how?: Copying) => (await copy({ ...place, home: tempDir() }, how)).tar;

async function expectFresh(place: Place, how?: Copying): Promise<Copied> {
  const copied = await copy(place, how);
  expect(copied.tar.equals(await fresh(place, how))).toBe(true);
  return copied;
}

const edits: readonly [string, (at: (path: string) => string) => void][] = [
  ['a file was written', (at) => writeFileSync(at('d3/f3'), 'changed')],
  ['a file grew', (at) => writeFileSync(at('d3/f3'), 'changed\n'.repeat(10_000))],
  ['a file became empty', (at) => writeFileSync(at('d3/f3'), '')],
  ['a large file changed', (at) => writeFileSync(at('large'), LARGE.replace('abc', 'xyz'))],
  [
    'a file was replaced',
    (at) => {
      writeFileSync(at('d3/new'), 'changed');
      renameSync(at('d3/new'), at('d3/f3'));
    },
  ],
  ['a mode changed', (at) => chmodSync(at('d3/f3'), 0o755)],
  ['the mode of a directory changed', (at) => chmodSync(at('d3'), 0o700)],
  ['an attribute was set', (at) => lsetxattr(at('d3/f3'), 'user.note', Buffer.from('x'))],
  ['a time was set', (at) => utimesSync(at('d3/f3'), 1, 1)],
  ['a file with a newline in its name was written', (at) => writeFileSync(at('a\nb'), 'changed')],
  ['a file whose name is that of a directory, and more', (at) => writeFileSync(at('d1.c'), 'changed'.repeat(200))],
  [
    'many were written',
    (at) => {
      for (let i = 0; i < 50; i++) writeFileSync(at(`d${i % 7}/f${i}`), 'x'.repeat(i * 40));
    },
  ],
];

const others: typeof edits = [
  ['a file came', (at) => writeFileSync(at('d3/new'), 'new')],
  ['a file went', (at) => rmSync(at('d3/f3'))],
  ['a file got another name', (at) => linkSync(at('d3/f3'), at('d4/f3'))],
  [
    'a file became a link',
    (at) => {
      rmSync(at('d3/f3'));
      symlinkSync('f10', at('d3/f3'));
    },
  ],
  [
    'a link leads elsewhere',
    (at) => {
      rmSync(at('link'));
      symlinkSync('d1.c', at('link'));
    },
  ],
  ['the directory itself has another time', (at) => utimesSync(at(''), 1, 1)],
  [
    'more were written',
    (at) => {
      for (let i = 0; i < 200; i++) writeFileSync(at(`d${i % 7}/f${i}`), 'x');
    },
  ],
];

const ops: readonly [string, Copying][] = [
  ['a directory', {}],
  ['the context', { op: copyOp(['.'], '/') }],
  ['an owner and a mode', { op: copyOp(['src'], '/a/b', { chown: '1:2', chmod: 'u+x,g-r' }) }],
  [
    'an owner with a name',
    {
      op: copyOp(['src'], '/a', { chown: 'me' }),
      view: memoryView({ '/etc': 'dir', '/etc/passwd': 'me:x:7:8::/:/bin/sh\n' }),
    },
  ],
  ['times that are rewritten', { mtimeRule: { seconds: 1, applies: 'all' } }],
];

describe.each(ops)('a COPY of %s is made of the layer of before where', (_op, how) => {
  it.each(edits)('%s', async (_what, edit) => {
    const place = { directory: context(), home: tempDir() };
    await copy(place, how);
    edit((path) => join(place.directory, 'src', path));
    expect((await expectFresh(place, how)).isWhole).toBe(false);
    edit((path) => join(place.directory, 'src', path));
    writeFileSync(join(place.directory, 'src/d6/f6'), 'one more');
    expect((await expectFresh(place, how)).isWhole).toBe(false);
  });
});

describe('all files are gone through where', () => {
  it.each(others)('%s', async (_what, edit) => {
    const place = { directory: context(), home: tempDir() };
    await copy(place);
    edit((path) => join(place.directory, 'src', path));
    expect((await expectFresh(place)).isWhole).toBe(true);
  });

  it('something else decides about the layer', async () => {
    const place = { directory: context(), home: tempDir() };
    for (const how of [{}, { op: copyOp(['src'], '/app', { chown: '7' }) }, { op: copyOp(['src'], '/other') }])
      expect((await expectFresh(place, how)).isWhole).toBe(true);
  });

  it('the copy says something that is not in its layer', async () => {
    const view = memoryView({ '/app': 'dir', '/app/link': 'dir' });
    const place = { directory: context(), home: tempDir() };
    for (let n = 0; n < 2; n++) {
      writeFileSync(join(place.directory, 'src/d3/f3'), `${n}`);
      const { isWhole, warnings } = await expectFresh(place, { view });
      expect(isWhole).toBe(true);
      expect(warnings.join()).toContain('"/app/link"');
    }
  });

  it.each<[string, (tar: Buffer) => Uint8Array | undefined]>([
    ['is damaged', (tar) => tar.fill(7, 2_000_000, 2_000_001)],
    ['is cut off', (tar) => tar.subarray(0, 1_500_000)],
    ['is gone', () => undefined],
  ])('the layer of before %s', async (_what, damage) => {
    const place = { directory: context(), home: tempDir() };
    const { tar } = await copy(place);
    const path = join(place.home, digestOf(tar));
    const bytes = damage(tar);
    if (bytes) writeFileSync(path, bytes);
    else rmSync(path);
    writeFileSync(join(place.directory, 'src/d3/f3'), 'changed');
    expect((await expectFresh(place)).isWhole).toBe(true);
    writeFileSync(join(place.directory, 'src/d3/f3'), 'again');
    expect((await expectFresh(place)).isWhole).toBe(false);
  });

  it.each([20, 200, 5000, -10])('the record is damaged at byte %d', async (at) => {
    const place = { directory: context(), home: tempDir() };
    await copy(place);
    const record = join(place.home, `stat-cache-${digestOf('tar slot').slice(7, 39)}`);
    const bytes = readFileSync(record);
    const position = at < 0 ? bytes.length + at : at;
    bytes[position] = (bytes[position] ?? 0) ^ 1;
    writeFileSync(record, bytes);
    writeFileSync(join(place.directory, 'src/d3/f3'), 'changed');
    expect((await expectFresh(place)).isWhole).toBe(true);
  });
});

it('never mixes two states of a file', async () => {
  const place = { directory: context(), home: tempDir() };
  await copy(place);
  const file = join(place.directory, 'src/d3/f3');
  for (const isSettled of [true, false]) {
    writeFileSync(file, `one ${isSettled}`);
    if (!isSettled) vi.useRealTimers();
    const meanwhile = () => writeFileSync(file, 'two and more');
    await expect(copy(place, { meanwhile })).rejects.toMatchObject({ code: 'E_CONTEXT' });
    settle();
  }
  await expectFresh(place);
});

it('is that of the files after any edits, whether they have settled or not', async () => {
  const names = ['d1/f1', 'd1/f8', 'd1.c', 'a\nb', 'large', 'd0/new', 'link'];
  const file = fc.constantFrom(...names);
  const what = fc.constantFrom('write', 'grow', 'replace', 'remove', 'chmod', 'touch', 'link', 'move');
  const builds = fc.array(
    fc.record({
      edits: fc.array(fc.record<Edit>({ what, file, other: file }), { maxLength: 3 }),
      isSettled: fc.boolean(),
    }),
    { minLength: 2, maxLength: 5 },
  );
  let patched = 0;
  await fc.assert(
    fc.asyncProperty(builds, fc.constantFrom(...ops.map(([, how]) => how)), async (all, how) => {
      const place = { directory: context(), home: tempDir() };
      for (const [n, { edits, isSettled }] of all.entries()) {
        vi.useRealTimers();
        for (const one of edits) edit(join(place.directory, 'src'), one, n);
        if (isSettled) settle();
        if (!(await expectFresh(place, how)).isWhole) patched++;
      }
      rmSync(place.directory, { recursive: true });
    }),
    { numRuns: 20 },
  );
  expect(patched).toBeGreaterThan(10);
});
