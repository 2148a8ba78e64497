import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { copyLayer, directoriesLayer } from '../../src/executor/copy-layer.ts';
import { selectSources } from '../../src/executor/selection.ts';
import { type MemoryTree, memoryView } from '../support/memory-view.ts';
import { requires } from '../support/requires.ts';
import { tempDir } from '../support/temp-dir.ts';
import { copy, copyOp, readTar, sourceRoot } from './support/copying.ts';

const isRoot = process.getuid?.() === 0;

/** a, b, .hidden, dir/{one,sub/two}, empty/, and links to the file, the directory and nothing. */
function context(): string {
  const root = tempDir();
  for (const directory of ['dir/sub', 'empty']) mkdirSync(join(root, directory), { recursive: true });
  for (const file of ['a', 'b', '.hidden', 'dir/one', 'dir/sub/two'])
    writeFileSync(join(root, file), `content of ${file}`);
  symlinkSync('a', join(root, 'to-file'));
  symlinkSync('dir', join(root, 'to-dir'));
  symlinkSync('../a', join(root, 'dir/inner'));
  return root;
}

const base: MemoryTree = {
  '/etc': 'dir',
  '/etc/file': 'x',
  '/opt': 'dir',
  '/opt/sub': 'dir',
  '/lib': '-> usr/lib',
  '/usr': 'dir',
  '/usr/lib': 'dir',
  '/escape': '-> ../../../../outside',
  '/loop': '-> loop',
};

describe('the destination', () => {
  it.each<[string, string[], string, string[]]>([
    ['a file to a missing name (8.3 #57)', ['a'], '/new', ['/new']],
    ['a file to a missing directory/ (8.3 #58)', ['a'], '/new/', ['/new/', '/new/a']],
    ['a file to missing parents', ['a'], '/x/y/z', ['/x/', '/x/y/', '/x/y/z']],
    ['a file into an existing directory (8.3 #62)', ['a'], '/etc', ['/etc/', '/etc/a']],
    ['a file over a file', ['a'], '/etc/file', ['/etc/', '/etc/file']],
    ['a file to the root', ['a'], '/', ['/a']],
    ['two files to a missing directory/ (8.3 #63)', ['a', 'b'], '/new/', ['/new/', '/new/a', '/new/b']],
    ['two files to an existing directory', ['a', 'b'], '/etc', ['/etc/', '/etc/a', '/etc/b']],
    [
      'the contents of a directory to a missing one (8.3 #59)',
      ['dir'],
      '/new',
      ['/new/', '/new/inner', '/new/one', '/new/sub/', '/new/sub/two'],
    ],
    ['dir/. like dir', ['dir/.'], '/new/', ['/new/', '/new/inner', '/new/one', '/new/sub/', '/new/sub/two']],
    [
      'a directory merged into an existing one (8.3 #60)',
      ['dir'],
      '/opt',
      ['/opt/', '/opt/inner', '/opt/one', '/opt/sub/', '/opt/sub/two'],
    ],
    ['an empty directory (8.3 #90)', ['empty'], '/e', ['/e/']],
    ['one match of a pattern to a name (8.3 #64)', ['[a]'], '/new', ['/new']],
    ['hidden files by * (8.3 #65)', ['*h*'], '/new/', ['/new/', '/new/.hidden']],
    ['several matches (8.3 #64)', ['[ab]'], '/new', ['/new/', '/new/a', '/new/b']],
    ['a linked file under its link name (8.3 #68)', ['to-file'], '/new/', ['/new/', '/new/to-file']],
    ['a linked directory (8.3 #68)', ['to-dir/sub'], '/new', ['/new/', '/new/two']],
    ['through a link in the image (8.3 #67)', ['a'], '/lib/', ['/usr/', '/usr/lib/', '/usr/lib/a']],
    ['through a link that leaves the image, inside of it (8.3 #67)', ['a'], '/escape/', ['/outside/', '/outside/a']],
    ['a heredoc', ['<<script:echo'], '/bin/', ['/bin/', '/bin/script']],
    ['a source with .. and a leading /', ['/../../a'], '/new', ['/new']],
  ])('takes %s', async (_name, sources, destination, paths) => {
    const copied = await copy(copyOp(sources, destination), { root: context(), view: memoryView(base) });
    expect(copied.paths).toEqual(paths);
  });

  it.each<[string, string[], string, string, string]>([
    ['a directory over a file (8.3 #61)', ['dir'], '/etc/file', 'E_COPY_CONFLICT', 'not a directory'],
    ['a file below a file', ['a'], '/etc/file/', 'E_COPY_CONFLICT', 'not a directory'],
    ['two files to a missing name (8.3 #63)', ['a', 'b'], '/new', 'E_COPY_CONFLICT', 'not a directory'],
    ['a loop of links', ['a'], '/loop/', 'E_PATH_ESCAPE', 'too many symbolic links'],
    ['a missing source', ['nothing'], '/', 'E_NOT_IN_CONTEXT', 'no such file'],
    ['a pattern without a match (8.3 #64)', ['z*'], '/', 'E_NOT_IN_CONTEXT', 'matches'],
    ['a name that means a deletion', ['a'], '/etc/.wh.file', 'E_BAD_LAYER', 'mean deletions'],
  ])('refuses %s', async (_name, sources, destination, code, message) => {
    const copying = copy(copyOp(sources, destination), { root: context(), view: memoryView(base) });
    await expect(copying).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    await expect(copying).rejects.toHaveProperty('hint', expect.any(String));
  });

  it('refuses a file in place of a directory', async () => {
    const root = tempDir();
    writeFileSync(join(root, 'opt'), '');
    const copying = copy(copyOp(['opt'], '/'), { root, view: memoryView(base) });
    await expect(copying).rejects.toMatchObject({ code: 'E_COPY_CONFLICT' });
  });

  it('puts a directory in the place of a link, and a link in that of a directory, with a warning', async () => {
    const root = tempDir();
    mkdirSync(join(root, 'd/lib'), { recursive: true });
    writeFileSync(join(root, 'd/lib/new'), '');
    symlinkSync('elsewhere', join(root, 'd/opt'));
    const warnings: string[] = [];
    const { paths } = await copy(copyOp(['d'], '/'), {
      root,
      view: memoryView(base),
      warn: (message) => warnings.push(message),
    });
    expect(paths).toEqual(['/lib/', '/lib/new', '/opt']);
    expect(warnings).toEqual([
      'The directory "/lib" replaces a link to "usr/lib" of the image',
      'The link "/opt" replaces a directory of the image, and all that is in it',
    ]);
  });

  it('gives the error the place of the source', async () => {
    const copying = copy(copyOp(['dir'], '/etc/file'), { root: context(), view: memoryView(base) });
    await expect(copying).rejects.toHaveProperty('range.start.line', 2);
  });
});

describe('attributes', () => {
  it('keeps modes, setuid and 0600 too, and whole-second times of files; owner root (8.3 #70, 8.3 #71, 8.3 #72)', async () => {
    const root = tempDir();
    writeFileSync(join(root, 'key'), 'x', { mode: 0o600 });
    writeFileSync(join(root, 'su'), 'x');
    chmodSync(join(root, 'su'), 0o4711);
    utimesSync(join(root, 'su'), 5, 1234.9);
    const { entries } = await copy(copyOp(['su', 'key'], '/'), { root });
    expect(entries.get('/su')).toMatchObject({ mode: 0o4711, mtime: 1234, uid: 0, gid: 0 });
    expect(entries.get('/key')).toMatchObject({ mode: 0o600 });
  });

  it('keeps the attributes of directories that exist, and makes others 0755 for the --chown owner (8.3 #75)', async () => {
    const view = memoryView({ '/etc': 'dir', '/etc/passwd': 'app:x:5:6::/:/bin/sh\n' });
    const { entries } = await copy(copyOp(['a'], '/etc/new/', { chown: 'app' }), { root: context(), view });
    expect(entries.get('/etc')).toMatchObject({ uid: 0, gid: 0, mtime: 1000 });
    expect(entries.get('/etc/new')).toMatchObject({ uid: 5, gid: 6, mode: 0o755 });
    expect(entries.get('/etc/new/a')).toMatchObject({ uid: 5, gid: 6 });
  });

  it('refuses an unknown --chown name (8.3 #73)', async () => {
    await expect(copy(copyOp(['a'], '/', { chown: 'nobody' }), { root: context() })).rejects.toMatchObject({
      code: 'E_UNKNOWN_USER',
    });
  });

  it.each([
    ['600', 0o600, 0o600],
    ['u=rwX,go=rX', 0o644, 0o755],
  ])('applies --chmod=%s to files and directories, not to links (8.3 #76, 8.3 #77)', async (chmod, file, directory) => {
    const { entries } = await copy(copyOp(['dir'], '/new', { chmod }), { root: context() });
    const modes = ['/new/one', '/new/sub', '/new/inner', '/new'].map((path) => entries.get(path)?.mode);
    expect(modes).toEqual([file, directory, 0o777, 0o755]);
  });

  it('lowers later times to SOURCE_DATE_EPOCH, and gives equal bytes for equal sources', async () => {
    const { entries } = await copy(copyOp(['dir', '<<h:x'], '/new/'), {
      root: context(),
      mtimeRule: { seconds: 3, applies: 'later' },
    });
    expect(new Set([...entries.values()].map((entry) => entry.mtime))).toEqual(new Set([3]));
  });

  it.skipIf(!requires('root, for other owners', isRoot))(
    'keeps owners of stages, with a destination of root (8.3 #79)',
    async () => {
      const directory = context();
      execFileSync('chown', ['-R', '-h', '100:200', join(directory, 'dir')]);
      const { entries } = await copy(copyOp(['dir'], '/new'), {
        root: { ...sourceRoot(directory), keepsOwners: true },
      });
      const owner = (path: string) => `${entries.get(path)?.uid}:${entries.get(path)?.gid}`;
      expect([owner('/new'), owner('/new/one'), owner('/new/sub')]).toEqual(['0:0', '100:200', '100:200']);
    },
  );

  it('keeps extended attributes (8.3 #92)', async () => {
    const root = context();
    execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept', join(root, 'a')]);
    const { entries } = await copy(copyOp(['a'], '/'), { root });
    expect(Buffer.from(entries.get('/a')?.xattrs?.get('user.note') ?? []).toString()).toBe('kept');
  });
});

describe('kinds of files', () => {
  it('keeps hard links, also over two sources, fifos and symbolic links (8.3 #69)', async () => {
    const root = context();
    linkSync(join(root, 'dir/one'), join(root, 'dir/sub/same'));
    linkSync(join(root, 'dir/one'), join(root, 'again'));
    execFileSync('mkfifo', [join(root, 'dir/pipe')]);
    const { entries } = await copy(copyOp(['dir', 'again'], '/new/'), { root });
    expect(entries.get('/new/again')).toMatchObject({ type: 'file' });
    expect(entries.get('/new/one')).toMatchObject({ type: 'hardlink', linkname: 'new/again' });
    expect(entries.get('/new/sub/same')).toMatchObject({ type: 'hardlink', linkname: 'new/again' });
    expect(entries.get('/new/pipe')).toMatchObject({ type: 'fifo' });
    expect(entries.get('/new/inner')).toMatchObject({ type: 'symlink', linkname: '../a' });
  });

  it('passes over sockets in a directory and refuses one that is named', async () => {
    const root = tempDir();
    const server = createServer().listen(join(root, 'socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    expect((await copy(copyOp(['.'], '/new/'), { root })).paths).toEqual(['/new/']);
    await expect(copy(copyOp(['socket'], '/'), { root })).rejects.toThrow(/cannot hold a socket/);
    server.close();
  });

  it.skipIf(!requires('root, for mknod', isRoot))('keeps devices and refuses one that means a deletion', async () => {
    const root = tempDir();
    execFileSync('mknod', [join(root, 'disk'), 'b', '8', '17']);
    const { entries } = await copy(copyOp(['disk'], '/'), { root });
    expect(entries.get('/disk')).toMatchObject({ type: 'block', devMajor: 8, devMinor: 17 });
    execFileSync('mknod', [join(root, 'gone'), 'c', '0', '0']);
    await expect(copy(copyOp(['gone'], '/'), { root })).rejects.toThrow(/whiteout device/);
  });

  it('writes holes of sparse files as zeros, and keeps data between them', async () => {
    const root = tempDir();
    const file = join(root, 'sparse');
    writeFileSync(file, 'begin');
    truncateSync(file, 3_000_000);
    appendFileSync(file, 'middle');
    truncateSync(file, 9_000_000);
    const { bodies } = await copy(copyOp(['sparse'], '/'), { root });
    const expected = `begin${'\0'.repeat(2_999_995)}middle${'\0'.repeat(5_999_994)}`;
    expect(bodies.get('/sparse') === expected).toBe(true);
  });

  it.each(['new\nline', 'a:b', 'späße 日本', '*star', '-rf', 'real \ufffd'])(
    'keeps the name %j (8.3 #89)',
    async (name) => {
      const root = tempDir();
      mkdirSync(join(root, 'd'));
      writeFileSync(join(root, 'd', name), name);
      symlinkSync(name, join(root, 'd', 'link'));
      const { bodies, entries } = await copy(copyOp(['d'], '/'), { root });
      expect(bodies.get(`/${name}`)).toBe(name);
      expect(entries.get('/link')).toMatchObject({ linkname: name });
    },
  );

  it('refuses names and link targets that are not UTF-8', async () => {
    const latin1 = Buffer.from('caf\xe9', 'latin1');
    const root = tempDir();
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), latin1]), '');
    await expect(copy(copyOp(['.'], '/'), { root })).rejects.toMatchObject({
      code: 'E_CONTEXT',
      message: expect.stringContaining('caf\xe9'),
    });
    const other = tempDir();
    symlinkSync(latin1, join(other, 'link'));
    await expect(copy(copyOp(['.'], '/'), { root: other })).rejects.toThrow(/not UTF-8/);
  });

  it('refuses files that a layer would take for deletions', async () => {
    const root = tempDir();
    writeFileSync(join(root, '.wh.a'), '');
    await expect(copy(copyOp(['.'], '/'), { root })).rejects.toMatchObject({ code: 'E_BAD_LAYER' });
  });
});

it('takes many small files: 10,000 here, in a time that 100,000 allow, too (8.3 #91)', async () => {
  const root = tempDir();
  for (let d = 0; d < 100; d++) {
    mkdirSync(join(root, `d${d}`));
    for (let f = 0; f < 100; f++) writeFileSync(join(root, `d${d}/f${f}`), `${d}/${f}`);
  }
  const start = performance.now();
  const { paths, bodies } = await copy(copyOp(['.'], '/many/'), { root });
  expect(performance.now() - start).toBeLessThan(15_000);
  expect(paths).toHaveLength(10_000 + 100 + 1);
  expect(bodies.get('/many/d99/f99')).toBe('99/99');
});

describe('sources that lead elsewhere', () => {
  it('reads links out of the context inside of it, and refuses dangling ones and loops (8.3 #68)', async () => {
    const root = context();
    symlinkSync('/etc/passwd', join(root, 'absolute'));
    symlinkSync('../../../../../../a', join(root, 'up'));
    symlinkSync('round', join(root, 'round'));
    await expect(copy(copyOp(['absolute'], '/'), { root })).rejects.toMatchObject({ code: 'E_NOT_IN_CONTEXT' });
    expect((await copy(copyOp(['up'], '/x'), { root })).bodies.get('/x')).toBe('content of a');
    await expect(copy(copyOp(['round'], '/'), { root })).rejects.toMatchObject({ code: 'E_PATH_ESCAPE' });
  });

  it.each<[string, (file: string) => void]>([
    ['grows', (file) => writeFileSync(file, 'longer than before')],
    ['changes at the same size', (file) => writeFileSync(file, 'content of z')],
    ['becomes a link', (file) => execFileSync('ln', ['-sf', '/etc/passwd', file])],
  ])('fails where a file %s while it is read', async (_name, change) => {
    const root = context();
    const op = copyOp(['a'], '/');
    const from = sourceRoot(root);
    utimesSync(join(root, 'a'), 1, 1);
    const sources = selectSources(op, () => from);
    const tar = await copyLayer({ op, sources, view: memoryView({}), inlineMtime: 0 });
    change(join(root, 'a'));
    await expect(readTar(tar)).rejects.toMatchObject({ code: 'E_CONTEXT', hint: expect.stringContaining('ignore') });
  });
});

describe('directories of WORKDIR', () => {
  const pending = [{ path: '/srv/app', user: '7' }];

  it('are made for their user, with the time of the directory above', async () => {
    const tar = await directoriesLayer(memoryView({ '/srv': 'dir' }), pending, undefined);
    const { entries } = await readTar(tar ?? (async function* () {})());
    expect(entries.get('/srv/app')).toMatchObject({ type: 'directory', mode: 0o755, uid: 7, gid: 0, mtime: 1000 });
    expect(entries.get('/srv')).toMatchObject({ uid: 0 });
  });

  it('make no layer where they exist, and an error where a file is in the way', async () => {
    expect(
      await directoriesLayer(memoryView({ '/srv': 'dir', '/srv/app': 'dir' }), pending, undefined),
    ).toBeUndefined();
    await expect(directoriesLayer(memoryView({ '/srv': 'a file' }), pending, undefined)).rejects.toMatchObject({
      code: 'E_COPY_CONFLICT',
    });
  });

  it('come before the files of the COPY that follows', async () => {
    const op = copyOp(['a'], '/srv/app/x', { pending });
    const { entries } = await copy(op, { root: context() });
    expect(entries.get('/srv/app')).toMatchObject({ uid: 7 });
    expect(entries.get('/srv/app/x')).toMatchObject({ uid: 0 });
  });
});
