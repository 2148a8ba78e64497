import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { copyLayer } from '../../src/executor/copy-layer.ts';
import { selectSources } from '../../src/executor/selection.ts';
import { type TestEntry, tarBytes } from '../layers/support.ts';
import { memoryView } from '../support/memory-view.ts';
import { requires } from '../support/requires.ts';
import { tempDir } from '../support/temp-dir.ts';
import { type CopyOptions, copy, copyOp, readTar, sourceRoot } from './support/copying.ts';

/** `ADD archive.tar destination` of these entries. */
function add(
  entries: readonly TestEntry[],
  destination = '/d/',
  { view = {}, ...options }: CopyOptions & { view?: Record<string, string> } = {},
) {
  const root = tempDir();
  writeFileSync(join(root, 'archive.tar'), tarBytes(entries));
  return copy(copyOp(['archive.tar'], destination, { unpack: true, ...options }), { root, view: memoryView(view) });
}

const tools: readonly (readonly [string, readonly string[] | undefined])[] = [
  ['tar', undefined],
  ['gzip', ['gzip']],
  ['bzip2', ['bzip2']],
  ['xz', ['xz']],
  ['zstd', ['zstd', '-q']],
];

it.each(tools)('unpacks %s, whatever the name (8.3 #83)', async (_kind, command) => {
  const [program, ...args] = command ?? [];
  const there = program === undefined || spawnSync(program, ['--version']).status === 0;
  if (!requires(`the program ${program}`, there)) return;
  const tar = tarBytes([{ path: 'x/' }, { path: 'x/file', body: 'inside', uid: 5, gid: 6, mode: 0o600 }]);
  const root = tempDir();
  writeFileSync(join(root, 'notes.txt'), program === undefined ? tar : execFileSync(program, args, { input: tar }));
  const { bodies, entries } = await copy(copyOp(['notes.txt'], '/d', { unpack: true }), { root });
  expect(bodies.get('/d/x/file')).toBe('inside');
  expect(entries.get('/d/x/file')).toMatchObject({ uid: 5, gid: 6, mode: 0o600, mtime: 1_600_000_000 });
});

it.each([
  ['an empty .tar.gz', Buffer.alloc(0)],
  ['a text', Buffer.from('text')],
  ['a compressed text', execFileSync('gzip', { input: 'text' })],
])('copies %s as a file (8.3 #83)', async (_name, bytes) => {
  const root = tempDir();
  writeFileSync(join(root, 'fake.tar.gz'), bytes);
  const { paths } = await copy(copyOp(['fake.tar.gz'], '/d/', { unpack: true }), { root });
  expect(paths).toEqual(['/d/', '/d/fake.tar.gz']);
});

it('does not unpack for COPY, nor with ADD --unpack=false (8.3 #84)', async () => {
  expect((await add([{ path: 'x' }], '/d/', { unpack: false })).paths).toEqual(['/d/', '/d/archive.tar']);
});

it.each<[string, TestEntry[], string[]]>([
  ['parents that climb', [{ path: '../../x' }, { path: 'a/../../y' }], ['/d/', '/d/x', '/d/y']],
  ['absolute names', [{ path: '/etc/x' }], ['/d/', '/d/etc/', '/d/etc/x']],
  [
    'writing through a link of the archive',
    [{ path: 'l', type: 'symlink', linkname: '/etc' }, { path: 'l/x' }],
    ['/d/', '/d/etc/', '/d/etc/x', '/d/l'],
  ],
  [
    'writing through a relative link',
    [{ path: 'l', type: 'symlink', linkname: '../../..' }, { path: 'l/x' }],
    ['/d/', '/d/l', '/d/x'],
  ],
  [
    'hard links',
    [
      { path: 'a', body: '1' },
      { path: 'b', type: 'hardlink', linkname: 'a' },
    ],
    ['/d/', '/d/a', '/d/b'],
  ],
  [
    'the later of two of one name',
    [
      { path: 'a', body: '1' },
      { path: 'a', body: '2' },
    ],
    ['/d/', '/d/a'],
  ],
  [
    'long names',
    [{ path: `${'n'.repeat(200)}/${'m'.repeat(200)}` }],
    ['/d/', `/d/${'n'.repeat(200)}/`, `/d/${'n'.repeat(200)}/${'m'.repeat(200)}`],
  ],
])('confines to the destination: %s (8.3 #83)', async (_name, entries, paths) => {
  const copied = await add(entries);
  expect([...copied.paths].sort()).toEqual(paths);
});

it('writes the bytes of the entry that wins', async () => {
  const { bodies, entries } = await add([
    { path: 'a', body: 'first' },
    { path: 'a', body: 'second' },
    { path: 'b', type: 'hardlink', linkname: 'a' },
  ]);
  expect(bodies.get('/d/a')).toBe('second');
  expect(entries.get('/d/b')).toMatchObject({ type: 'hardlink', linkname: 'd/a' });
});

it('follows links that the image has, inside the destination only', async () => {
  const view = { '/d': 'dir', '/d/l': '-> /etc', '/etc': 'dir' };
  const copied = await add([{ path: 'l/x' }], '/d', { view });
  expect(copied.paths).toContain('/d/etc/x');
  expect(copied.paths).not.toContain('/etc/x');
});

it("lets the archive's root set the destination's attributes", async () => {
  const { entries } = await add([{ path: './', type: 'directory', mode: 0o700, uid: 9 }, { path: 'x' }], '/d');
  expect(entries.get('/d')).toMatchObject({ mode: 0o700, uid: 9 });
});

it('replaces what is there, merges directories and keeps device nodes (8.3 #83)', async () => {
  const view = { '/d': 'dir', '/d/file': 'old', '/d/sub': 'dir' };
  const { entries } = await add(
    [
      { path: 'sub/', mode: 0o711 },
      { path: 'file', type: 'symlink', linkname: 'sub' },
      { path: 'null', type: 'char', devMajor: 1, devMinor: 3 },
    ],
    '/d',
    { view },
  );
  expect(entries.get('/d/sub')).toMatchObject({ mode: 0o711 });
  expect(entries.get('/d/file')).toMatchObject({ type: 'symlink', linkname: 'sub' });
  expect(entries.get('/d/null')).toMatchObject({ type: 'char', devMajor: 1, devMinor: 3 });
});

it('gives all entries the --chown owner and leaves their modes to the archive', async () => {
  const { entries } = await add([{ path: 'a', uid: 5, gid: 6 }], '/d/', { chown: '1:2', chmod: '777' });
  expect(entries.get('/d/a')).toMatchObject({ uid: 1, gid: 2, mode: 0o644 });
  expect(entries.get('/d')).toMatchObject({ uid: 1, gid: 2 });
});

it.each<[string, TestEntry[], string]>([
  ['a link to a later file', [{ path: 'b', type: 'hardlink', linkname: 'a' }, { path: 'a' }], 'E_BAD_ARCHIVE'],
  [
    'a link to a file that is replaced',
    [
      { path: 'a', body: '1' },
      { path: 'b', type: 'hardlink', linkname: 'a' },
      { path: 'a', body: '2' },
    ],
    'E_BAD_ARCHIVE',
  ],
  ['a link to nothing', [{ path: 'b', type: 'hardlink', linkname: '../../etc/passwd' }], 'E_BAD_ARCHIVE'],
  ['a file used as a directory', [{ path: 'a' }, { path: 'a/b' }], 'E_BAD_ARCHIVE'],
  ['a deletion', [{ path: '.wh.passwd' }], 'E_BAD_LAYER'],
])('refuses %s (8.3 #83)', async (_name, entries, code) => {
  await expect(add(entries)).rejects.toMatchObject({ code, hint: expect.any(String) });
});

it.each(['gnu', 'posix'])(
  'unpacks sparse members, long names and attributes of GNU tar, format %s (8.3 #83)',
  async (format) => {
    if (!requires('the program tar', spawnSync('tar', ['--version']).status === 0)) return;
    const made = tempDir();
    const long = `${'n'.repeat(120)}/${'m'.repeat(120)}`;
    mkdirSync(join(made, 'n'.repeat(120)));
    writeFileSync(join(made, long), 'far');
    writeFileSync(join(made, 'holes'), 'begin');
    truncateSync(join(made, 'holes'), 2_000_000);
    appendFileSync(join(made, 'holes'), 'end');
    execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept', join(made, 'holes')]);
    const root = tempDir();
    const xattrs = format === 'posix' ? ['--xattrs', '--xattrs-include=*'] : [];
    execFileSync('tar', ['-cSf', join(root, 'a.tar'), `--format=${format}`, ...xattrs, '-C', made, '.']);
    expect(statSync(join(root, 'a.tar')).size).toBeLessThan(100_000);
    const { bodies, entries } = await copy(copyOp(['a.tar'], '/d/', { unpack: true }), { root });
    expect(bodies.get(`/d/${long}`)).toBe('far');
    expect(bodies.get('/d/holes')).toHaveLength(2_000_003);
    expect(bodies.get('/d/holes')).toMatch(/^begin\0+end$/);
    const note = entries.get('/d/holes')?.xattrs?.get('user.note');
    expect(note && Buffer.from(note).toString()).toBe(format === 'posix' ? 'kept' : undefined);
  },
);

it('refuses an archive that is cut off or damaged, by its name', async () => {
  const root = tempDir();
  const gz = execFileSync('gzip', { input: tarBytes([{ path: 'a', body: 'x'.repeat(100_000) }]) });
  writeFileSync(join(root, 'cut.tgz'), gz.subarray(0, gz.length - 40));
  await expect(copy(copyOp(['cut.tgz'], '/', { unpack: true }), { root })).rejects.toMatchObject({
    code: 'E_BAD_ARCHIVE',
    message: expect.stringContaining('"cut.tgz"'),
  });
});

it('fails where the archive changes between its two readings', async () => {
  const root = tempDir();
  const file = join(root, 'a.tar');
  writeFileSync(file, tarBytes([{ path: 'a', body: 'x' }]));
  utimesSync(file, 1, 1);
  const op = copyOp(['a.tar'], '/', { unpack: true });
  const from = sourceRoot(root);
  const request = { op, sources: selectSources(op, () => from), view: memoryView({}), inlineMtime: 0 };
  const tar = await copyLayer(request);
  appendFileSync(file, Buffer.alloc(512));
  await expect(readTar(tar)).rejects.toMatchObject({ code: 'E_CONTEXT' });
});
