import { describe, expect, it } from 'vitest';
import { buildTarIndex, encodeTarStream, type TarEntry } from '../../../src/layers/tar/index.ts';
import { chunked, collect, owned } from './archives.ts';

const bodies: Readonly<Record<string, string>> = { 'a/x': 'first file', 'name\nwith newline': 'second', empty: '' };
const entries: readonly TarEntry[] = [
  { ...owned, path: 'a', type: 'directory', mode: 0o755 },
  ...Object.entries(bodies).map(([path, body]) => ({ ...owned, path, type: 'file' as const, size: body.length })),
  { ...owned, path: 'l', type: 'symlink', linkname: 'a/x', mtime: -7 },
  {
    ...owned,
    path: 'dev',
    type: 'char',
    devMajor: 1,
    devMinor: 3,
    xattrs: new Map([['user.x', Uint8Array.of(0, 255)]]),
  },
];
const tar = () =>
  collect(encodeTarStream(entries.map((entry) => ({ entry, body: chunked(Buffer.from(bodies[entry.path] ?? '')) }))));

describe('the index of a tar', () => {
  it('says where in the tar each file lies', async () => {
    const bytes = await tar();
    const index = await buildTarIndex(chunked(bytes, 700));
    expect(index.map(({ entry }) => entry)).toEqual(entries);
    for (const { entry, offset } of index) {
      if (entry.type !== 'file') expect(offset).toBeUndefined();
      else expect(bytes.toString('utf8', offset, (offset ?? 0) + entry.size)).toBe(bodies[entry.path]);
    }
  });
});
