import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { BuildError } from '../../../src/errors.ts';
import { encodeHeader } from '../../../src/layers/index.ts';
import { join, type LayerTree } from '../../../src/layers/layer-tree.ts';
import { indexed, scratch, type TestEntry, tarBytes } from '../support.ts';
import { MemoryTree } from './memory-tree.ts';

const home = scratch();
afterAll(home.remove);

/** Everything that a tree says. */
async function dump(tree: LayerTree, path = ''): Promise<readonly unknown[]> {
  const node = tree.lookup(path);
  if (node?.kind !== 'entry') return [[path, node]];
  if (node.entry.type === 'file') return [[path, node, String(await tree.readFile(path))]];
  if (node.entry.type !== 'directory') return [[path, node]];
  const below = await Promise.all([...tree.list(path)].sort().map((name) => dump(tree, join(path, name))));
  return [[path, node, tree.isOpaqueRoot], ...below.flat()];
}

async function outcome(make: () => LayerTree): Promise<unknown> {
  try {
    return await dump(make());
  } catch (error) {
    return error instanceof BuildError ? [error.code, error.message] : error;
  }
}

describe('the index of a layer', () => {
  // next to each other, and to `/`, in several orders
  const plain = fc.constantFrom('a', 'b', 'a-', 'a.b', 'a0', 'ab', 'é', '\u{1f600}', '\uffee', 'new\nline', '\x01');
  const marker = fc.constantFrom('.wh.a', '.wh.b', '.wh.a-', '.wh..wh..opq', '.wh..wh.plnk');
  const last = fc.oneof({ arbitrary: plain, weight: 5 }, { arbitrary: marker, weight: 1 });
  const parents = fc.array(fc.constantFrom('a', 'b', 'a-', 'ab'), { maxLength: 3 });
  const path = fc.tuple(parents, last).map(([above, name]) => [...above, name].join('/'));
  const linkname = fc.oneof(path, fc.constantFrom('..', '/', '../a', '/a/b', 'a/../b', '.', 'a//b'));
  const common = { path, mode: fc.integer({ min: 0, max: 0o7777 }), uid: fc.nat(), mtime: fc.integer() };
  const xattrs = fc.constant(new Map([['user.x', Uint8Array.of(0, 255)]]));
  const entry: fc.Arbitrary<TestEntry> = fc.oneof(
    { arbitrary: fc.record({ ...common, body: fc.string({ maxLength: 5 }) }), weight: 3 },
    { arbitrary: fc.record({ ...common, body: fc.string({ maxLength: 5 }), xattrs }), weight: 1 },
    { arbitrary: fc.record({ ...common, type: fc.constant('directory' as const) }), weight: 3 },
    { arbitrary: fc.record({ ...common, type: fc.constant('directory' as const), xattrs }), weight: 1 },
    { arbitrary: fc.record({ ...common, type: fc.constant('symlink' as const), linkname }), weight: 2 },
    { arbitrary: fc.record({ ...common, type: fc.constant('hardlink' as const), linkname }), weight: 2 },
    {
      arbitrary: fc.record({ ...common, type: fc.constant('char' as const), devMajor: fc.nat(), devMinor: fc.nat() }),
      weight: 1,
    },
    { arbitrary: fc.record({ ...common, type: fc.constant('fifo' as const) }), weight: 1 },
  );

  it('says what all entries in their order say, however little memory it is made with', async () => {
    const memory = fc.constantFrom(1, 500, undefined);
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 16, size: 'max' }), memory, async (entries, freshBytes) => {
        const tar = tarBytes(entries);
        expect(await outcome(() => indexed(tar, home.path, freshBytes))).toEqual(
          await outcome(() => new MemoryTree(tar)),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it('is that of the whole archive where it has many directories that come and go', async () => {
    const entries: TestEntry[] = [];
    for (let n = 0; n < 3000; n++) {
      const directory = `d${(n * 7919) % 50}`;
      entries.push({ path: `${directory}/e${n % 3}/f${(n * 31) % 200}`, body: String(n) });
      if (n % 97 === 0) entries.push({ path: directory, body: 'instead' }, { path: directory, type: 'directory' });
      if (n % 41 === 0) entries.push({ path: `l${n}`, type: 'hardlink', linkname: entries[n]?.path ?? '' });
    }
    const tar = tarBytes(entries);
    expect(await outcome(() => indexed(tar, home.path, 4000))).toEqual(await outcome(() => new MemoryTree(tar)));
  });

  it('gives the bytes of a sparse file that another one of its name replaced', async () => {
    const sparse = (text: string): Uint8Array[] => {
      const map = `1\n0\n512\n`.padEnd(512, '\0');
      const body = Buffer.from(map + text.padEnd(512, '\0'));
      const records = ['GNU.sparse.major=1', 'GNU.sparse.minor=0', `GNU.sparse.name=f`, 'GNU.sparse.realsize=600'];
      const pax = Buffer.from(records.map((record) => `${record.length + 4} ${record}\n`).join(''));
      const owned = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
      const extension = encodeHeader({ ...owned, path: 'x', type: 'file', size: pax.length });
      return [
        withType(extension, 'x'),
        pad(pax),
        encodeHeader({ ...owned, path: 'f', type: 'file', size: body.length }),
        body,
      ];
    };
    const link = encodeHeader({ path: 'l', type: 'hardlink', linkname: 'f', mode: 0o644, uid: 0, gid: 0, mtime: 0 });
    const tar = Buffer.concat([...sparse('one'), link, ...sparse('two'), Buffer.alloc(1024)]);
    const tree = indexed(tar, home.path);
    expect(String(await tree.readFile('f'))).toBe(`two${'\0'.repeat(597)}`);
    expect(String(await tree.readFile('l'))).toBe(`one${'\0'.repeat(597)}`);
  });

  it.each([
    ['a path of 600 directories', [{ path: `${'d/'.repeat(600)}f` }]],
    [
      'a link that makes 600 directories',
      [{ path: 'l', type: 'symlink', linkname: 'd/'.repeat(600) }, { path: 'l/f' }],
    ],
    ['links that form a loop', [{ path: 'l', type: 'symlink', linkname: 'l' }, { path: 'l/f' }]],
    ['a file in a file', [{ path: 'f' }, { path: 'f/f' }]],
    ['a file as the root', [{ path: '', type: 'fifo' }]],
    ['a link to a deletion', [{ path: '.wh.f' }, { path: 'l', type: 'hardlink', linkname: 'f' }]],
    ['a link to the name of a deletion', [{ path: 'l', type: 'hardlink', linkname: '.wh.f' }]],
  ] satisfies [string, TestEntry[]][])('is refused for %s', (_, entries) => {
    expect(() => indexed(tarBytes(entries), home.path, 1)).toThrow(expect.objectContaining({ code: 'E_BAD_LAYER' }));
  });
});

const pad = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);

/** A header of another type. */
function withType(header: Uint8Array, type: string): Buffer {
  const changed = Buffer.from(header);
  changed.write(type, 156, 'latin1');
  changed.write('        ', 148, 'latin1');
  const sum = changed.reduce((total, byte) => total + byte, 0);
  changed.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return changed;
}
