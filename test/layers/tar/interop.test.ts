import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pack } from 'tar-fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeTarStream, type TarEntry } from '../../../src/layers/tar/index.ts';
import { requires } from '../../support/requires.ts';
import { chunked, collect, decodeAll, type Member, owned } from './archives.ts';

const works = (command: string, ...args: string[]) => spawnSync(command, args).stdout?.toString() ?? '';

const hasGnuTar = requires('GNU tar', works('tar', '--version').startsWith('tar (GNU tar)'));
const hasPython = requires('python3', works('python3', '--version').startsWith('Python 3'));

const dir = fs.mkdtempSync(join(tmpdir(), 'tar-interop-'));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const long = `${'d'.repeat(90)}/${'e'.repeat(120)}`;
const contents = Buffer.from('hello\n');

const entries: readonly TarEntry[] = [
  { ...owned, path: '', type: 'directory', mode: 0o755 },
  { ...owned, path: 'etc', type: 'directory', mode: 0o1777, uid: 1000, gid: 50, mtime: 1700000000 },
  {
    ...owned,
    path: 'etc/file',
    type: 'file',
    size: 6,
    mode: 0o4755,
    uid: 3_000_000_000,
    gid: 2_097_152,
    mtime: -86_400,
  },
  { ...owned, path: 'etc/hard', type: 'hardlink', linkname: 'etc/file', uid: 7 },
  { ...owned, path: 'etc/sym', type: 'symlink', linkname: '../../etc/pässwd', mode: 0o777 },
  { ...owned, path: `${long}/f`, type: 'file', size: 0 },
  { ...owned, path: 'long link', type: 'symlink', linkname: long, mode: 0o777 },
  { ...owned, path: 'line\nbreak \u{1F600}', type: 'file', size: 6 },
  { ...owned, path: 'dev', type: 'char', devMajor: 0, devMinor: 0 },
  { ...owned, path: 'disk', type: 'block', devMajor: 259, devMinor: 1_048_575 },
  { ...owned, path: 'pipe', type: 'fifo' },
  {
    ...owned,
    path: 'caps',
    type: 'file',
    size: 6,
    xattrs: new Map([
      ['security.capability', Uint8Array.of(1, 0, 0, 2, 0xff, 10, 0, 0x3d)],
      ['user.empty', new Uint8Array(0)],
    ]),
  },
];

const ours = () =>
  collect(
    encodeTarStream(
      entries.map((entry) => ({
        entry,
        body: entry.type === 'file' && entry.size > 0 ? chunked(contents) : undefined,
      })),
    ),
  );

describe('what we write, others read', () => {
  let tar: string;
  beforeAll(async () => {
    tar = join(dir, 'ours.tar');
    fs.writeFileSync(tar, await ours());
  });

  it.runIf(hasPython)('python3 tarfile: every field, attribute and byte', () => {
    const script = `
import tarfile, json, sys, base64
out = []
for m in tarfile.open(sys.argv[1], 'r:', errors='surrogateescape'):
    xattrs = {k[13:]: base64.b64encode(v.encode('utf-8', 'surrogateescape')).decode() for k, v in m.pax_headers.items() if k.startswith('SCHILY.xattr.')}
    body = tarfile.open(sys.argv[1]).extractfile(m.name).read().decode() if m.isreg() else None
    out.append([m.name, m.type.decode(), m.mode, m.uid, m.gid, m.mtime, m.size, m.linkname, m.devmajor, m.devminor, m.uname, xattrs, body])
print(json.dumps(out))`;
    const flags = { file: '0', hardlink: '1', symlink: '2', char: '3', block: '4', directory: '5', fifo: '6' } as const;
    const expected = entries.map((e) => [
      e.path === '' ? '.' : e.path,
      flags[e.type],
      e.mode,
      e.uid,
      e.gid,
      e.mtime,
      e.type === 'file' ? e.size : 0,
      'linkname' in e ? e.linkname : '',
      'devMajor' in e ? e.devMajor : 0,
      'devMinor' in e ? e.devMinor : 0,
      '',
      Object.fromEntries([...(e.xattrs ?? [])].map(([name, value]) => [name, Buffer.from(value).toString('base64')])),
      e.type === 'file' ? (e.size > 0 ? 'hello\n' : '') : null,
    ]);
    expect(JSON.parse(execFileSync('python3', ['-c', script, tar]).toString())).toEqual(expected);
  });

  it.runIf(hasGnuTar)('GNU tar: lists it without a warning', () => {
    const args = ['-tvvf', tar, '--numeric-owner', '--utc', '--full-time', '--quoting-style=c'];
    const { stdout, stderr, status } = spawnSync('tar', args, { env: { ...process.env, LC_ALL: 'C.UTF-8' } });
    expect([stderr.toString(), status]).toEqual(['', 0]);
    const lines = stdout
      .toString()
      .split('\n')
      .map((line) => line.replace(/ +/g, ' '));
    expect(lines).toContain('-rwsr-xr-x 3000000000/2097152 6 1969-12-31 00:00:00 "etc/file"');
    expect(lines).toContain('brw-r--r-- 0/0 259,1048575 1970-01-01 00:00:00 "disk"');
    expect(lines).toContain('drwxrwxrwt 1000/50 0 2023-11-14 22:13:20 "etc/"');
    expect(lines).toContain(`lrwxrwxrwx 0/0 0 1970-01-01 00:00:00 "long link" -> "${long}"`);
    expect(stdout.toString()).toContain(`"${long}/f"`);
  });

  it.runIf(hasGnuTar)('GNU tar: unpacks contents and links', () => {
    const target = join(dir, 'unpacked');
    fs.mkdirSync(target);
    execFileSync('tar', ['-xf', tar, '-C', target, '--no-same-owner', '--exclude=dev', '--exclude=disk']);
    expect(fs.readFileSync(join(target, 'line\nbreak \u{1F600}'), 'utf8')).toBe('hello\n');
    expect(fs.readlinkSync(join(target, 'etc/sym'))).toBe('../../etc/pässwd');
    expect(fs.statSync(join(target, 'etc/hard')).ino).toBe(fs.statSync(join(target, 'etc/file')).ino);
    expect(fs.statSync(join(target, 'etc/file')).mtimeMs).toBe(-86_400_000);
  });
});

/** A tree with everything that an ordinary user can make. */
function makeTree(): string {
  const root = join(dir, 'tree');
  fs.mkdirSync(join(root, 'sub'), { recursive: true });
  fs.writeFileSync(join(root, 'sub/file'), contents, { mode: 0o640 });
  fs.writeFileSync(join(root, 'ünïcode \u{1F600}'), 'x'.repeat(1025));
  fs.symlinkSync(`/${long}`, join(root, 'sym'));
  fs.linkSync(join(root, 'sub/file'), join(root, 'hard'));
  fs.mkdirSync(join(root, long), { recursive: true });
  fs.writeFileSync(join(root, long, 'deep'), 'deep');
  const sparse = fs.openSync(join(root, 'sparse'), 'w');
  for (let piece = 0; piece < 40; piece++) fs.writeSync(sparse, `piece ${piece}`, piece * 65_536 + 7);
  fs.ftruncateSync(sparse, 4_000_000);
  fs.closeSync(sparse);
  return root;
}

function expectTree(root: string, members: readonly Member[], sameTimes: boolean): void {
  const files = new Map<string, Buffer>();
  for (const { entry, body } of members) {
    const stat = fs.lstatSync(join(root, entry.path));
    expect([entry.path, entry.uid, entry.gid]).toEqual([entry.path, stat.uid, stat.gid]);
    if (entry.type !== 'symlink') expect(entry.mode).toBe(stat.mode & 0o7777);
    if (sameTimes) expect(Math.abs(entry.mtime - stat.mtimeMs / 1000)).toBeLessThan(1);
    if (entry.type === 'symlink') expect(entry.linkname).toBe(fs.readlinkSync(join(root, entry.path)));
    if (entry.type === 'directory') expect(stat.isDirectory()).toBe(true);
    if (entry.type === 'file') files.set(entry.path, body);
    if (entry.type === 'hardlink') files.set(entry.path, files.get(entry.linkname) ?? Buffer.from('no such file'));
  }
  for (const [path, body] of files) expect(body.equals(fs.readFileSync(join(root, path)))).toBe(true);
  const found = new Set(members.map(({ entry }) => entry.path));
  const present = fs.readdirSync(root, { recursive: true, encoding: 'utf8' });
  expect([...found].filter((path) => path !== '').sort()).toEqual(present.sort());
}

describe('what others write, we read', () => {
  let root: string;
  beforeAll(() => {
    root = makeTree();
  });

  const formats = ['gnu', 'oldgnu', 'pax'] as const;
  const sparse = [[], ['-S'], ['-S', '--sparse-version=0.0'], ['-S', '--sparse-version=0.1']] as const;
  const cases = formats.flatMap((format) =>
    sparse.filter((options) => format === 'pax' || options.length < 2).map((options) => [format, options] as const),
  );

  it.runIf(hasGnuTar).each(cases)('GNU tar --format=%s %j', (format, options) => {
    const tar = execFileSync('tar', ['-cf', '-', `--format=${format}`, ...options, '-C', root, '.'], {
      maxBuffer: 1e8,
    });
    expectTree(root, decodeAll(tar), true);
    expectTree(root, decodeAll(tar, 511), true);
  });

  it.runIf(hasGnuTar).each(['v7', 'ustar'])('GNU tar --format=%s, where names are short', (format) => {
    const sub = join(root, 'sub');
    const tar = execFileSync('tar', ['-cf', '-', `--format=${format}`, '-C', sub, '.']);
    expectTree(sub, decodeAll(tar), true);
  });

  it('tar-fs: ordinary files', async () => {
    const packed = await collect(pack(join(root, 'sub')).pipe(new PassThrough()));
    expectTree(join(root, 'sub'), decodeAll(packed), true);
  });

  it.runIf(hasPython).each(['GNU', 'PAX'])(
    'python3 tarfile, %s_FORMAT: large ids, times before 1970, devices',
    (format) => {
      const script = `
import tarfile, sys
t = tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.${format}_FORMAT, pax_headers={'gid': '12', 'comment': 'all'})
i = tarfile.TarInfo('/abs//./' + 'n' * 120); i.uid = 3000000000; i.mtime = -5; i.type = tarfile.BLKTYPE; i.devmajor = 8; i.devminor = 1; t.addfile(i)
i = tarfile.TarInfo('l'); i.type = tarfile.SYMTYPE; i.linkname = 't' * 300; i.mtime = 5; t.addfile(i)
i = tarfile.TarInfo('old/'); i.type = tarfile.AREGTYPE; t.addfile(i)
i = tarfile.TarInfo('c'); i.type = tarfile.CONTTYPE; t.addfile(i)
t.close()`;
      const gid = format === 'PAX' ? 12 : 0;
      const read = decodeAll(execFileSync('python3', ['-c', script])).map((member) => member.entry);
      const plain = { ...owned, gid };
      const device = { ...plain, uid: 3_000_000_000, mtime: -5, devMajor: 8, devMinor: 1 };
      expect(read).toEqual([
        { ...device, type: 'block', path: `abs/${'n'.repeat(120)}` },
        { ...plain, type: 'symlink', path: 'l', linkname: 't'.repeat(300), mtime: 5 },
        { ...plain, type: 'directory', path: 'old' },
        { ...plain, type: 'file', path: 'c', size: 0 },
      ]);
    },
  );
});
