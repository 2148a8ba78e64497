import { lstatSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { unpackContext } from '../../src/context-archive.ts';
import type { BuildEvent } from '../../src/events.ts';
import { encodeTarStream, LayerWorkers, type TarEntry, type TarMember } from '../../src/layers/index.ts';
import { buildWorker } from '../layers/support.ts';
import { tempDir } from '../support/temp-dir.ts';

type Member = Partial<TarEntry> & { readonly path: string; readonly text?: string };

async function* bytesOf(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text);
}

async function* membersOf(members: readonly Member[]): AsyncIterable<TarMember> {
  for (const { text = '', ...member } of members) {
    const common = { type: 'file', mode: 0o644, uid: 1234, gid: 1234, mtime: 1_000_000_000 } as const;
    const entry = { ...common, ...(member.type ? {} : { size: text.length }), ...member } as TarEntry; // a test's own
    yield entry.type === 'file' ? { entry, body: bytesOf(text) } : { entry };
  }
}

async function unpacked(members: readonly Member[]) {
  const home = tempDir();
  const directory = join(home, 'root');
  mkdirSync(directory);
  const events: BuildEvent[] = [];
  const open = () => encodeTarStream(membersOf(members));
  const parts = { workers: new LayerWorkers({ limit: 1 }), emit: (event: BuildEvent) => events.push(event) };
  const isArchive = await unpackContext({ open, name: 'it' }, directory, parts);
  return { home, directory, isArchive, warnings: events.flatMap((event) => ('message' in event ? event.message : [])) };
}

/** Root does the test, but is told that it is somebody else. */
async function asUser<T>(run: () => Promise<T>): Promise<T> {
  const uid = vi.spyOn(process, 'getuid').mockReturnValue(process.getuid?.() === 0 ? 1000 : (process.getuid?.() ?? 0));
  try {
    return await run();
  } finally {
    uid.mockRestore();
  }
}

describe('the archive of a context', () => {
  beforeAll(buildWorker);

  it('becomes files of the caller’s, with their modes and times', async () => {
    const { directory, isArchive } = await unpacked([
      { path: 'a/b/run', text: '#!', mode: 0o4755 },
      { path: 'a', type: 'directory', mode: 0o750 },
      { path: 'a/link', type: 'symlink', linkname: '../../..' },
      { path: 'a/same', type: 'hardlink', linkname: 'a/b/run' },
    ]);
    expect(isArchive).toBe(true);
    const run = statSync(join(directory, 'a/b/run'));
    expect([run.mode & 0o7777, run.uid, run.nlink, run.mtimeMs]).toEqual([0o4755, process.getuid?.(), 2, 1e12]);
    expect(statSync(join(directory, 'a')).mode & 0o7777).toBe(0o750);
    expect(lstatSync(join(directory, 'a/link')).isSymbolicLink()).toBe(true);
  });

  it('gives who is not root what he can use, and says so', async () => {
    const members: Member[] = [
      { path: 'open', type: 'symlink', linkname: 'made/by/name' },
      { path: 'open/f', text: 'x' },
      { path: 'closed', type: 'directory', mode: 0o500 },
      { path: 'closed/f', text: 'x', mode: 0 },
    ];
    const { directory, warnings } = await asUser(() => unpacked(members));
    expect(readFileSync(join(directory, 'made/by/name/f'), 'utf8')).toBe('x');
    const modes = ['closed', 'closed/f'].map((name) => statSync(join(directory, name)).mode & 0o7777);
    expect(modes).toEqual([0o700, 0o400]);
    expect(warnings).toEqual([
      '"closed" of the context "it" gets the mode 700 instead of 500, which only root can use',
      '"closed/f" of the context "it" gets the mode 400 instead of 0, which only root can use',
    ]);
  });

  it('is not what is no tar', async () => {
    const open = () => bytesOf('FROM scratch\n');
    const parts = { workers: new LayerWorkers({ limit: 1 }), emit: () => {} };
    expect(await unpackContext({ open, name: 'it' }, tempDir(), parts)).toBe(false);
  });

  it.each([
    [[{ path: '../x', text: 'x' }]],
    [[{ path: 'a/../../x', text: 'x' }]],
    [[{ path: 'up', type: 'hardlink', linkname: '../../secret' } as const]],
    [[{ path: 'up', type: 'hardlink', linkname: 'etc/passwd' } as const]],
    [
      [
        { path: 'f', text: 'x' },
        { path: 'f/x', text: 'x' },
      ],
    ],
  ])('that leads elsewhere is refused: %j', async (members) => {
    await expect(unpacked(members)).rejects.toMatchObject({ code: 'E_BAD_ARCHIVE', hint: expect.any(String) });
  });

  it('writes through no link of its own to the outside', async () => {
    const { home, directory } = await unpacked([
      { path: 'out', type: 'symlink', linkname: '/tmp' },
      { path: 'up', type: 'symlink', linkname: '../..' },
      { path: 'tmp', type: 'directory', mode: 0o755 },
      { path: 'out/x', text: 'inside' },
      { path: 'up/y', text: 'inside' },
    ]);
    expect(readFileSync(join(directory, 'tmp/x'), 'utf8')).toBe('inside');
    expect(readFileSync(join(directory, 'y'), 'utf8')).toBe('inside');
    expect(readdirSync(home)).toEqual(['root']);
  });

  it('is unpacked without devices and without names that are deletions, which is said', async () => {
    const { directory, warnings } = await unpacked([
      { path: 'zero', type: 'char', devMajor: 1, devMinor: 5 },
      { path: '.wh.gone', text: '' },
      { path: 'd/.wh..wh..opq', text: '' },
      { path: 'kept', text: '' },
    ]);
    expect(readdirSync(directory)).toEqual(['kept']);
    expect(warnings).toEqual([
      '"zero" of the context "it" is left out: it is a device',
      '".wh.gone" of the context "it" is left out: names that start with ".wh." mean deletions in layers',
      '"d/.wh..wh..opq" of the context "it" is left out: names that start with ".wh." mean deletions in layers',
    ]);
  });
});
