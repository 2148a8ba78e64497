import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Selection, selectAll, selectFromContext } from '../../src/executor/copy-selection.ts';
import { FileHasher } from '../../src/executor/file-hasher.ts';
import { ReadLog } from '../../src/executor/read-log.ts';
import { closeSource } from '../../src/executor/source-cursor.ts';
import type { SourceRoot } from '../../src/executor/source-root.ts';
import type { CopyOp } from '../../src/graph/index.ts';
import { lsetxattr } from '../../src/layers/syscalls.ts';
import { tempDir } from '../support/temp-dir.ts';
import { copyOp, sourceRoot } from './support/copying.ts';
import { type Edit, edit } from './support/edits.ts';

const MINUTE = 60_000;

// What is younger than two seconds is not remembered, and a ctime cannot be set.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + MINUTE });
});
afterEach(() => {
  vi.useRealTimers();
});

function context(): string {
  const directory = tempDir();
  for (const file of ['src/a.c', 'src/b.c', 'src/deep/c.c', 'src/deep/d/e', 'out/x', 'y/package.json', 'top.txt']) {
    mkdirSync(join(directory, file, '..'), { recursive: true });
    writeFileSync(join(directory, file), file);
  }
  mkdirSync(join(directory, 'src/empty'));
  symlinkSync('a.c', join(directory, 'src/link'));
  symlinkSync('src', join(directory, 'to-src'));
  return directory;
}

interface Place {
  readonly directory: string;
  readonly home: string;
  readonly ignore?: string;
}

const place = (ignore?: string): Place => ({
  directory: context(),
  home: tempDir(),
  ...(ignore === undefined ? {} : { ignore }),
});

interface Looked {
  readonly selection: Selection;
  /** Without looking at what is remembered. */
  readonly digest: string;
  readonly isRemembered: boolean;
}

/** As a build does. */
function look({ directory, home, ignore }: Place, op: CopyOp, { isFresh = false, withLines = false } = {}): Looked {
  const hasher = new FileHasher(join(home, 'stat-cache'));
  const root: SourceRoot = { ...sourceRoot(directory, ignore), isLasting: true, log: new ReadLog() };
  const selection = selectFromContext(op, () => root, { hasher, slot: 'slot', isFresh });
  hasher.save();
  const { digest, lines } = selectAll(op, () => ({ ...root, log: undefined }), new FileHasher(join(home, 'none')));
  if (withLines) expect(selection.lines).toEqual(lines);
  closeSource(root);
  return { selection, digest, isRemembered: !Object.hasOwn(selection, 'sources') };
}

const source = copyOp(['src'], '/app');

it('is the same whether it is remembered or not, and nothing is listed for it', () => {
  const here = place();
  const first = look(here, source);
  expect(first.isRemembered).toBe(false);
  const second = look(here, source);
  expect(second.isRemembered).toBe(true);
  expect(second.selection.digest).toBe(first.selection.digest);
  expect(second.selection.digest).toBe(second.digest);
  expect(look(here, source, { isFresh: true }).isRemembered).toBe(false);
});

it('lists the files when somebody asks for them', () => {
  const here = place();
  const { sources, lines } = look(here, source).selection;
  const { selection, isRemembered } = look(here, source);
  expect(isRemembered).toBe(true);
  const paths = (all: Selection['sources']) =>
    all.flatMap((one) => (one.type === 'inline' ? [] : one.entries.map(({ path }) => path)));
  expect(paths(selection.sources)).toEqual(paths(sources));
  expect(selection.lines).toEqual(lines);
});

it('does not speak of files that changed after they were looked at', () => {
  const here = place();
  look(here, source);
  const { selection } = look(here, source);
  writeFileSync(join(here.directory, 'src/new'), '');
  expect(() => selection.sources).toThrow(expect.objectContaining({ code: 'E_CONTEXT' }));
});

/** Same size, same mtime: only the inode or its ctime tells. */
function rewrite(path: string, replace: boolean): void {
  const time = new Date(1_000_000_000_000);
  utimesSync(path, time, time);
  const other = replace ? `${path}.new` : path;
  writeFileSync(other, readFileSync(path, 'utf8').toUpperCase());
  utimesSync(other, time, time);
  if (replace) renameSync(other, path);
}

const changes: readonly [string, (at: (path: string) => string) => void][] = [
  ['a file was written', (at) => writeFileSync(at('src/deep/c.c'), 'changed')],
  ['a file was written, with the same size and time', (at) => rewrite(at('src/deep/c.c'), false)],
  ['a file was replaced, with the same size and time', (at) => rewrite(at('src/deep/c.c'), true)],
  ['a file came', (at) => writeFileSync(at('src/deep/d/new'), '')],
  ['a file went', (at) => rmSync(at('src/deep/d/e'))],
  ['a file was renamed', (at) => renameSync(at('src/a.c'), at('src/a2.c'))],
  [
    'two files changed places',
    (at) => {
      renameSync(at('src/a.c'), at('src/x'));
      renameSync(at('src/b.c'), at('src/a.c'));
      renameSync(at('src/x'), at('src/b.c'));
    },
  ],
  ['a directory came', (at) => mkdirSync(at('src/empty/new'))],
  ['a directory went', (at) => rmSync(at('src/empty'), { recursive: true })],
  ['a directory was renamed', (at) => renameSync(at('src/deep'), at('src/deeper'))],
  [
    'a file became a directory',
    (at) => {
      rmSync(at('src/a.c'));
      mkdirSync(at('src/a.c'));
    },
  ],
  [
    'a directory became a file',
    (at) => {
      rmSync(at('src/empty'), { recursive: true });
      writeFileSync(at('src/empty'), '');
    },
  ],
  [
    'a directory became a link to its copy',
    (at) => {
      renameSync(at('src/deep'), at('elsewhere'));
      symlinkSync('../elsewhere', at('src/deep'));
    },
  ],
  ['a mode changed', (at) => chmodSync(at('src/deep/c.c'), 0o755)],
  ['the mode of a directory changed', (at) => chmodSync(at('src/deep'), 0o700)],
  [
    'a link leads elsewhere',
    (at) => {
      rmSync(at('src/link'));
      symlinkSync('b.c', at('src/link'));
    },
  ],
  ['a file got another name in the selection', (at) => linkSync(at('src/a.c'), at('src/deep/a.c'))],
  [
    'a file was replaced by a link to another',
    (at) => {
      rmSync(at('src/b.c'));
      linkSync(at('src/a.c'), at('src/b.c'));
    },
  ],
  ['an attribute was set', (at) => lsetxattr(at('src/a.c'), 'user.note', Buffer.from('x'))],
  [
    'all of it was replaced',
    (at) => {
      renameSync(at('src'), at('old'));
      mkdirSync(at('src'));
      copyFileSync(at('old/a.c'), at('src/a.c'));
    },
  ],
];

/** After these nothing but the files themselves is read. */
const edits = new Set([
  'a file was written',
  'a file was written, with the same size and time',
  'a file was replaced, with the same size and time',
  'two files changed places',
  'a mode changed',
  'the mode of a directory changed',
  'an attribute was set',
]);

describe('is made anew after', () => {
  it.each(changes)('%s', (what, change) => {
    const here = place();
    const before = look(here, source).selection.digest;
    change((path) => join(here.directory, path));
    const { selection, digest, isRemembered } = look(here, source, { withLines: true });
    expect(selection.digest).toBe(digest);
    expect(selection.digest).not.toBe(before);
    expect(isRemembered).toBe(edits.has(what));
    expect(look(here, source).selection.digest).toBe(digest);
  });

  it('a file got a name outside of the selection, and is the same', () => {
    const here = place();
    const before = look(here, source).selection.digest;
    linkSync(join(here.directory, 'src/a.c'), join(here.directory, 'outside'));
    const { selection, isRemembered } = look(here, source);
    expect(isRemembered).toBe(false);
    expect(selection.digest).toBe(before);
  });
});

const wholeContext = copyOp(['.'], '/');

describe('knows of ignore files', () => {
  it('when their patterns change', () => {
    const here = place('out\n');
    look(here, wholeContext);
    expect(look(here, wholeContext).isRemembered).toBe(true);
    for (const ignore of ['src\n', 'out\n!out/x\n', undefined]) {
      const { selection, digest } = look({ ...here, ...(ignore ? { ignore } : { ignore: '' }) }, wholeContext);
      expect(selection.digest).toBe(digest);
    }
  });

  it('and does not look at what they leave out', () => {
    const here = place('out\n*.txt\n');
    const before = look(here, wholeContext).selection.digest;
    writeFileSync(join(here.directory, 'out/x'), 'changed');
    writeFileSync(join(here.directory, 'out/new'), 'new');
    writeFileSync(join(here.directory, 'top.txt'), 'changed');
    const { selection, digest } = look(here, wholeContext);
    expect(selection.digest).toBe(before);
    expect(selection.digest).toBe(digest);
  });

  it('and sees what is taken in again', () => {
    const here = place('out\n!out/x\n');
    const before = look(here, wholeContext).selection.digest;
    writeFileSync(join(here.directory, 'out/x'), 'changed');
    const { selection, digest } = look(here, wholeContext);
    expect(selection.digest).not.toBe(before);
    expect(selection.digest).toBe(digest);
  });
});

describe('of other sources', () => {
  it.each<[string, CopyOp, string]>([
    ['a pattern gets another match', copyOp(['src/*.c'], '/'), 'src/new.c'],
    ['a pattern gets a match in another directory', copyOp(['*/package.json'], '/'), 'src/package.json'],
    ['a file that is excluded comes', copyOp(['src'], '/', { exclude: ['*.o'] }), 'src/new.o'],
    ['a file with its parents', copyOp(['src/deep/**'], '/', { parents: true }), 'src/deep/d/new'],
    ['what a link leads to', copyOp(['to-src'], '/'), 'src/new'],
  ])('%s', (_what, op, added) => {
    const here = place();
    const first = look(here, op);
    const second = look(here, op);
    expect(second.isRemembered).toBe(true);
    expect(second.selection.digest).toBe(first.digest);
    writeFileSync(join(here.directory, added), 'new');
    const { selection, digest } = look(here, op);
    expect(selection.digest).toBe(digest);
  });

  it('a link leads to another directory', () => {
    const here = place();
    const op = copyOp(['to-src'], '/');
    look(here, op);
    rmSync(join(here.directory, 'to-src'));
    symlinkSync('out', join(here.directory, 'to-src'));
    const { selection, digest } = look(here, op);
    expect(selection.digest).toBe(digest);
  });

  it('what the Containerfile holds is part of it', () => {
    const here = place();
    look(here, copyOp(['src', '<<name:text'], '/'));
    const { selection, digest } = look(here, copyOp(['src', '<<name:other'], '/'));
    expect(selection.digest).toBe(digest);
  });

  it('has one for each step, that of the newest build', () => {
    const here = place();
    look(here, source);
    expect(look(here, copyOp(['out'], '/')).isRemembered).toBe(false);
    expect(look(here, source).isRemembered).toBe(false);
  });
});

describe('of names that are remembered', () => {
  it('is the same after a file came, went or was left out, whatever the other directories hold', () => {
    const here = place('*.o\n');
    const at = (path: string) => join(here.directory, path);
    look(here, source);
    for (const change of [
      () => writeFileSync(at('src/a.c'), 'changed'),
      () => writeFileSync(at('src/deep/new.c'), ''),
      () => writeFileSync(at('src/deep/new.o'), ''),
      () => rmSync(at('src/deep/d/e')),
      () => renameSync(at('src/b.c'), at('src/c.c')),
      () => renameSync(at('src/deep/d'), at('src/d')),
    ]) {
      change();
      // one look with what is remembered and too new to be remembered, one that remembers
      for (const isFresh of [true, false]) {
        const { selection, digest } = look(here, source, { isFresh, withLines: true });
        expect(selection.digest).toBe(digest);
      }
    }
  });

  it('is the same where sources overlap and leave out different files', () => {
    const here = place();
    const op = copyOp(['src', 'src/deep'], '/', { exclude: ['c.c'] });
    look(here, op);
    writeFileSync(join(here.directory, 'src/a.c'), 'changed');
    const { selection, digest } = look(here, op);
    expect(selection.digest).toBe(digest);
  });
});

it.each([
  ['now', 0],
  ['in the future', 10 * MINUTE],
])('reads a file again that was written %s', (_when, later) => {
  const here = place();
  vi.useRealTimers();
  const file = join(here.directory, 'src/a.c');
  const time = new Date(Date.now() + later);
  utimesSync(file, time, time);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + (later > 0 ? MINUTE : 0) });
  const looks = [look(here, source), look(here, source), look(here, source)];
  for (const { selection } of looks) {
    const { paths = [], unsettled = new Map<number, string>() } = selection.seen?.looks ?? {};
    expect([...unsettled.keys()].map((position) => paths[position])).toContain('src/a.c');
  }
});

it('remembers nothing of a tree that was written a moment ago', () => {
  const here = place();
  for (let n = 0; n < 100; n++) writeFileSync(join(here.directory, `src/${n}`), '');
  vi.useRealTimers();
  look(here, source);
  expect(look(here, source).isRemembered).toBe(false);
});

it.each<[string, (bytes: Buffer) => Uint8Array]>([
  ['nothing', () => Buffer.alloc(0)],
  ['a part', (bytes) => bytes.subarray(0, bytes.length - 1)],
  ['another byte', (bytes) => bytes.fill('#', bytes.length - 1)],
])('lists all files again where the texts are damaged: %s', (_what, damage) => {
  const here = place();
  look(here, source);
  const name = readdirSync(here.home).find((file) => file.endsWith('-texts')) ?? '';
  writeFileSync(join(here.home, name), damage(readFileSync(join(here.home, name))));
  writeFileSync(join(here.directory, 'src/a.c'), 'changed');
  const { selection, digest, isRemembered } = look(here, source);
  expect(isRemembered).toBe(false);
  expect(selection.digest).toBe(digest);
});

it('is that of the files after any edits, whether they have settled or not', () => {
  const files = ['a.c', 'b.c', 'deep/c.c', 'deep/d/e', 'new', 'deep/new', 'link', 'out.o'];
  const file = fc.constantFrom(...files);
  const what = fc.constantFrom('write', 'replace', 'remove', 'chmod', 'touch', 'link', 'move');
  const edits = fc.array(fc.record<Edit>({ what, file, other: file }), { maxLength: 3 });
  const here = { directory: '', home: '' };
  const builds = fc.array(fc.record({ edits, isSettled: fc.boolean() }), {
    minLength: 2,
    maxLength: 6,
  });
  fc.assert(
    fc.property(
      builds,
      fc.constantFrom(source, copyOp(['.'], '/'), copyOp(['src'], '/', { exclude: ['*.o'] })),
      (all, op) => {
        Object.assign(here, place());
        for (const [n, { edits, isSettled }] of all.entries()) {
          vi.useRealTimers();
          for (const one of edits) edit(join(here.directory, 'src'), one, n);
          if (isSettled) vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + MINUTE });
          const { selection, digest } = look(here, op, { withLines: true });
          expect(selection.digest).toBe(digest);
        }
      },
    ),
    { numRuns: 150 },
  );
});

it.each<[string, (bytes: Buffer) => Uint8Array]>([
  ['nothing', () => Buffer.alloc(0)],
  ['a part', (bytes) => bytes.subarray(0, bytes.length - 1)],
  ['the head alone', (bytes) => bytes.subarray(0, 124)],
  ['another format', (bytes) => bytes.fill('1', 18, 19)],
  ['another byte', (bytes) => bytes.fill(bytes.at(100) === 0 ? 1 : 0, 100, 101)],
])('takes nothing from a damaged record: %s', (_what, damage) => {
  const here = place();
  look(here, source);
  const [name = ''] = readdirSync(here.home).filter((file) => file.startsWith('stat-cache-'));
  writeFileSync(join(here.home, name), damage(readFileSync(join(here.home, name))));
  const { selection, digest, isRemembered } = look(here, source);
  expect(isRemembered).toBe(false);
  expect(selection.digest).toBe(digest);
  expect(look(here, source).isRemembered).toBe(true);
});

it('keeps what is known of its files while those of other steps change', () => {
  const here = place();
  const hasher = new FileHasher(join(here.home, 'stat-cache'));
  const root: SourceRoot = { ...sourceRoot(here.directory), isLasting: true, log: new ReadLog() };
  const select = (op: CopyOp, slot: string, reader = hasher) =>
    selectFromContext(op, () => root, { hasher: reader, slot, isFresh: false });
  select(source, 'one');
  select(copyOp(['top.txt'], '/'), 'two');
  hasher.save();
  writeFileSync(join(here.directory, 'top.txt'), 'changed');
  const next = new FileHasher(join(here.home, 'stat-cache'));
  vi.setSystemTime(Date.now() + MINUTE);
  select(source, 'one', next);
  select(copyOp(['top.txt'], '/'), 'two', next);
  next.save();
  const last = new FileHasher(join(here.home, 'stat-cache'));
  const [selected] = selectAll(source, () => root, last).sources;
  if (selected === undefined || selected.type === 'inline') throw new Error('nothing was selected');
  const file = selected.entries.find(({ path }) => path === 'src/a.c');
  if (file === undefined) throw new Error('src/a.c was not selected');
  file.stat.known = undefined;
  expect(new FileHasher(join(here.home, 'stat-cache')).known({ root, path: file.path }, file.stat)).toBeDefined();
});
