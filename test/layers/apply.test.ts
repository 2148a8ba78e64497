import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LayerWriter } from '../../src/layers/apply.ts';
import { identifyTar, tarOf } from '../../src/layers/dir-tar.ts';
import { IdMap } from '../../src/layers/id-map.ts';
import { TarDecoder } from '../../src/layers/index.ts';
import { lgetxattr, lsetxattr } from '../../src/layers/syscalls.ts';
import { isOpaque, isWhiteout } from '../../src/layers/whiteout.ts';
import { gnuList, isRoot, layerOf, scratch, type TestEntry, tarBytes } from './support.ts';

const ALL_IDS = new IdMap('0 0 4294967295', '0 0 4294967295');

let home: ReturnType<typeof scratch>;
let root: string;

beforeEach(() => {
  home = scratch();
  root = join(home.path, 'layer');
  mkdirSync(root);
  mkdirSync(join(home.path, 'outside', 'dir'), { recursive: true });
  writeFileSync(join(home.path, 'outside', 'file'), 'untouched', { mode: 0o640 });
});
afterEach(() => home.remove());

function apply(tar: Uint8Array, ids = ALL_IDS) {
  const writer = new LayerWriter(root, ids);
  try {
    const decoder = new TarDecoder({
      entry: (entry) => writer.entry(entry),
      data: (bytes) => writer.data(bytes),
      hole: (size) => writer.hole(size),
      end: () => undefined,
    });
    for (let at = 0; at < tar.byteLength; at += 1000) decoder.push(tar.subarray(at, at + 1000));
    decoder.finish();
    return writer.end();
  } finally {
    writer.close();
  }
}

const unpack = (...entries: TestEntry[]) => apply(tarBytes(entries));
const at = (path: string): string => join(root, path);

/** Everything about the directory beside the layer that an attack could change. */
function outside(): unknown {
  const seen = (path: string): unknown => {
    const { mode, uid, gid, size, mtimeMs, nlink } = lstatSync(path);
    const names = statSync(path).isDirectory() ? readdirSync(path).map((name) => [name, seen(join(path, name))]) : [];
    return { mode, uid, gid, size, mtimeMs, nlink, names };
  };
  return [seen(join(home.path, 'outside')), readdirSync(home.path).sort()];
}

/** Archives that try to leave the root; `up` is the directory beside it. */
const attacks: readonly (readonly [string, (up: string) => readonly TestEntry[]])[] = [
  ['a path with ..', () => [{ path: '../outside/file', body: 'x' }]],
  ['a file without a name', () => [{ path: '', body: 'x' }]],
  ['a path that climbs from below', () => [{ path: 'a/' }, { path: 'a/../../outside/new', body: 'x' }]],
  ['an absolute path', (up) => [{ path: `${up}/outside/file`, body: 'x' }]],
  ['a file through an absolute link', (up) => [symlink('l', `${up}/outside`), { path: 'l/file', body: 'x' }]],
  ['a file through a relative link', () => [symlink('l', '../outside'), { path: 'l/file', body: 'x' }]],
  ['a file through two links', () => [symlink('a', '..'), symlink('b', 'a/outside'), { path: 'b/file', body: 'x' }]],
  ['a file through a link to the host root', () => [symlink('l', '/'), { path: 'l/tmp/tsbuild-attack', body: 'x' }]],
  ['a file over a link to a file', (up) => [symlink('l', `${up}/outside/file`), { path: 'l', body: 'x' }]],
  ['a directory over a link', (up) => [symlink('l', `${up}/outside/dir`), { path: 'l/', mode: 0o777, uid: 5 }]],
  ['a mode through a link', (up) => [symlink('l', `${up}/outside`), { path: 'l/dir/', mode: 0o777 }]],
  [
    'a hard link to an absolute path',
    (up) => [
      { path: 'h', type: 'hardlink', linkname: `${up}/outside/file` },
      { path: 'h', body: 'x' },
    ],
  ],
  ['a hard link with ..', () => [{ path: 'h', type: 'hardlink', linkname: '../outside/file' }]],
  [
    'a hard link through a link',
    () => [symlink('l', '../outside'), { path: 'h', type: 'hardlink', linkname: 'l/file' }],
  ],
  [
    'writing through a hard link to a symlink',
    (up) => [
      symlink('l', `${up}/outside/file`),
      { path: 'h', type: 'hardlink', linkname: 'l' },
      { path: 'h', body: 'x' },
    ],
  ],
  ['a whiteout through a link', () => [symlink('l', '../outside'), { path: 'l/.wh.file' }]],
  ['an opaque marker through a link', () => [symlink('l', '../outside'), { path: 'l/.wh..wh..opq' }]],
  ['a whiteout of ..', () => [{ path: '.wh...' }]],
  ['a whiteout of .', () => [{ path: 'a/.wh..' }]],
  ['a whiteout of nothing', () => [{ path: '.wh.' }]],
  ['a file below a whiteout', () => [{ path: '.wh.x/y', body: 'x' }]],
  ['a loop of links', () => [symlink('a', 'b'), symlink('b', 'a'), { path: 'a/f', body: 'x' }]],
  [
    'a directory that becomes a link',
    () => [{ path: 'd/' }, { path: 'd/x', body: '1' }, symlink('d', '../outside'), { path: 'd/file', body: 'x' }],
  ],
  [
    'a link that becomes a directory',
    () => [symlink('d', '../outside'), { path: 'd/' }, { path: 'd/file', body: 'x' }],
  ],
  ['a device that is a deletion', () => [{ path: 'w', type: 'char', devMajor: 0, devMinor: 0 }]],
  ['a path that is far too long', () => [{ path: `${'d/'.repeat(2500)}f`, body: 'x' }]],
  ['a tree that is far too deep', () => [{ path: `${'d/'.repeat(1500)}f`, body: 'x' }]],
  ['a name that is too long', () => [{ path: 'n'.repeat(300), body: 'x' }]],
  [
    'a file as a parent',
    () => [
      { path: 'f', body: 'x' },
      { path: 'f/g', body: 'x' },
    ],
  ],
  ['a root that is no directory', () => [symlink('', '../outside')]],
  [
    'overlay attributes',
    () => [
      {
        path: 'd/',
        xattrs: new Map([
          ['user.overlay.redirect', Buffer.from('/../outside')],
          ['trusted.overlay.opaque', Buffer.from('y')],
        ]),
      },
    ],
  ],
];

function symlink(path: string, linkname: string): TestEntry {
  return { path, type: 'symlink', linkname };
}

describe.runIf(isRoot)('a hostile layer', () => {
  it.each(attacks)('changes nothing outside of its root: %s', (_name, attack) => {
    const before = outside();
    try {
      unpack(...attack(home.path));
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const known = ['E_BAD_LAYER', 'ENAMETOOLONG'];
      expect(known, error.stack).toContain('code' in error ? error.code : undefined);
    }
    expect(outside()).toEqual(before);
    expect(readFileSync(join(home.path, 'outside/file'), 'utf8')).toBe('untouched');
    expect(existsSync('/tmp/tsbuild-attack')).toBe(false);
  });

  it('keeps what goes through a link inside the root', () => {
    unpack(symlink('l', '/a/../b'), { path: 'l/f', body: 'x' });
    expect(readFileSync(at('b/f'), 'utf8')).toBe('x');
  });

  it.each([
    [{ path: '../x', body: '' }],
    [{ path: '.wh...' }],
    [{ path: '.wh.' }],
    [{ path: 'w', type: 'char', devMajor: 0, devMinor: 0 }],
  ] satisfies [TestEntry][])('is refused loudly: %j', (entry) => {
    expect(() => unpack(entry)).toThrow(expect.objectContaining({ code: 'E_BAD_LAYER' }));
  });

  it('is refused when a size lies', () => {
    const tar = tarBytes([{ path: 'f', body: 'x'.repeat(3000) }]);
    expect(() => apply(tar.subarray(0, 2048))).toThrow(expect.objectContaining({ code: 'E_BAD_LAYER' }));
  });

  it('never gets attributes that overlay would obey', () => {
    const meta = unpack({ path: 'd/', xattrs: new Map([['user.overlay.opaque', Buffer.from('y')]]) });
    expect(isOpaque(at('d'))).toBe(false);
    expect(meta.skipped).toMatchObject([{ path: 'd', what: 'attribute user.overlay.opaque' }]);
  });

  it('cannot have owners that the namespace lacks', () => {
    const few = new IdMap('0 1000 1\n1 100000 65536', '0 1000 1\n1 100000 65536');
    const entry = { path: 'srv/f', body: 'x', uid: 3_000_000 };
    expect(() => apply(tarBytes([entry]), few)).toThrow(
      expect.objectContaining({
        code: 'E_ID_NOT_MAPPED',
        message: expect.stringMatching(/"\/srv\/f" to user 3000000.*65536/),
        hint: expect.stringContaining('/etc/subuid'),
      }),
    );
    expect(existsSync(at('srv'))).toBe(false);
  });
});

describe.runIf(isRoot)('unpacking a layer', () => {
  it('turns whiteouts into overlay form', () => {
    unpack(
      { path: 'etc/.wh.gone' },
      { path: 'var/.wh..wh..opq' },
      { path: 'var/new', body: 'x' },
      { path: '.wh..wh.plnk/1', body: '' },
    );
    expect(isWhiteout(at('etc/gone'), lstatSync(at('etc/gone')))).toBe(true);
    expect(isOpaque(at('var'))).toBe(true);
    expect(readdirSync(root).sort()).toEqual(['etc', 'var']);
  });

  it('takes a whiteout as a word about lower layers, in either order', () => {
    unpack(
      { path: 'a/' },
      { path: 'a/f', body: 'x' },
      { path: '.wh.a' },
      { path: '.wh.b' },
      { path: 'b/' },
      { path: 'f', body: 'x' },
      { path: '.wh.f' },
    );
    expect([isOpaque(at('a')), isOpaque(at('b'))]).toEqual([true, true]);
    expect(readFileSync(at('a/f'), 'utf8')).toBe('x');
    expect(lstatSync(at('f')).isFile()).toBe(true);
  });

  it('lets a later entry replace an earlier one, and merges directories', () => {
    unpack(
      { path: 'd/', mode: 0o700 },
      { path: 'd/keep', body: 'k' },
      { path: 'f', body: 'first' },
      { path: 'f', body: 'second' },
      { path: 'd/', mode: 0o711, mtime: 5 },
      { path: 'x/' },
      { path: 'x/y', body: '' },
      symlink('x', 'd'),
      { path: 'f2', body: '' },
      { path: 'f2/' },
    );
    expect(readFileSync(at('f'), 'utf8')).toBe('second');
    expect([lstatSync(at('d')).mode & 0o777, lstatSync(at('d')).mtimeMs]).toEqual([0o711, 5000]);
    expect(readdirSync(at('d'))).toEqual(['keep']);
    expect(readlinkSync(at('x'))).toBe('d');
    expect(lstatSync(at('f2')).isDirectory()).toBe(true);
  });

  it('keeps modes, owners, times, attributes and capabilities', () => {
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    const binary = Buffer.from([0, 255, 10, 61, 0]);
    unpack({
      path: 'f',
      body: 'x',
      mode: 0o4755,
      uid: 3_000_000,
      gid: 3_000_001,
      mtime: -1,
      xattrs: new Map([
        ['security.capability', capability],
        ['user.bin', binary],
      ]),
    });
    const { mode, uid, gid, mtimeMs } = lstatSync(at('f'));
    expect([mode & 0o7777, uid, gid, mtimeMs]).toEqual([0o4755, 3_000_000, 3_000_001, -1000]);
    expect(lgetxattr(at('f'), 'user.bin')).toEqual(new Uint8Array(binary));
    expect(lgetxattr(at('f'), 'security.capability')).toEqual(new Uint8Array(capability));
  });

  it('records directories that the tar leaves out', () => {
    const meta = unpack({ path: 'a/b/c', body: '' }, { path: 'a/', mode: 0o700 });
    expect(meta.implicit).toEqual(['', 'a/b']);
    expect(lstatSync(at('a/b')).mode & 0o7777).toBe(0o755);
  });

  it('does not fill the disk with zeros', () => {
    const size = 64 * 1024 * 1024;
    unpack({ path: 'big', body: Buffer.alloc(size) }, { path: 'after', body: 'x' });
    const { size: seen, blocks } = lstatSync(at('big'));
    expect([seen, blocks * 512 < 1024 * 1024]).toEqual([size, true]);
  });

  it('links within the layer and remembers links to layers below', () => {
    const meta = unpack(
      { path: 'f', body: 'x' },
      { path: 'g', type: 'hardlink', linkname: 'f' },
      { path: 'h', type: 'hardlink', linkname: 'usr/below' },
    );
    expect(lstatSync(at('g')).nlink).toBe(2);
    expect(meta.links).toEqual([{ path: 'h', linkname: 'usr/below' }]);
  });
});

describe.runIf(isRoot)('the tar of a directory', () => {
  it('is the tar that it was unpacked from', () => {
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    const big = Buffer.alloc(3 * 1024 * 1024);
    big.write('in the middle', 1_500_000);
    const tar = tarBytes([
      { path: 'a/', mode: 0o1777, mtime: 7 },
      { path: 'a/.wh..wh..opq', mtime: 0 },
      { path: 'a/.wh.gone', mtime: 0 },
      { path: 'a/big', body: big },
      { path: 'a/dev', type: 'char', devMajor: 1, devMinor: 300 },
      { path: 'a/fifo', type: 'fifo' },
      {
        path: 'a/file',
        body: 'x',
        mode: 0o6755,
        uid: 3_000_000,
        gid: 4,
        xattrs: new Map([['security.capability', capability]]),
      },
      { path: 'a/link', type: 'symlink', linkname: '/ä/nowhere' },
      { path: 'b/implicit', body: 'y' },
      { path: 'c', type: 'hardlink', linkname: 'a/file', mode: 0o6755, uid: 3_000_000, gid: 4 },
      { path: 'ü-name', body: '' },
    ]);
    const meta = apply(tar);
    const made = Buffer.concat([...tarOf(root, { implicit: new Set(meta.implicit), owners: 'real' })]);
    expect(gnuList(made)).toEqual(gnuList(tar));
    expect(identifyTar(root, { implicit: new Set(meta.implicit), owners: 'real' })).toEqual({
      diffId: layerOf(tar).diffId,
      tarSize: tar.byteLength,
    });
  });

  it('leaves out attributes of the machine and of overlay', () => {
    writeFileSync(at('f'), 'x');
    const before = identifyTar(root, { implicit: new Set(['']), owners: 'real' });
    lsetxattr(at('f'), 'trusted.note', Buffer.from('x'));
    lsetxattr(at('f'), 'user.overlay.origin', Buffer.from('x'));
    expect(identifyTar(root, { implicit: new Set(['']), owners: 'real' })).toEqual(before);
  });
});
