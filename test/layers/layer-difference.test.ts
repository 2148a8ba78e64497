import { expect, test } from 'vitest';
import { compareLayers } from '../../src/layers/index.ts';
import { tarLayer } from './support.ts';

test('layers differ in what was added, removed and changed, aspect by aspect', async () => {
  const one = tarLayer([
    { path: 'same', body: 'x' },
    { path: 'gone', body: '' },
    { path: 'text', body: 'one', mode: 0o644 },
    { path: 'kind', body: '' },
    { path: 'link', type: 'symlink', linkname: 'a' },
  ]);
  const other = tarLayer([
    { path: 'kind/' },
    { path: 'text', body: 'two', mode: 0o755 },
    { path: 'link', type: 'symlink', linkname: 'b' },
    { path: 'same', body: 'x' },
    { path: '.wh.new' },
  ]);
  const found = await compareLayers(one, other);
  expect(found.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
    'added .wh.new',
    'removed gone',
    'changed kind',
    'changed link',
    'changed text',
  ]);
  expect(found.find(({ path }) => path === 'text')?.what).toEqual([
    'mode 0644 -> 0755',
    expect.stringMatching(/^content sha256:\w{12} -> sha256:\w{12}$/),
  ]);
  expect(found.find(({ path }) => path === 'link')?.what).toEqual(['linkname a -> b']);
  expect(found.find(({ path }) => path === 'kind')?.what).toContain('type file -> directory');
});

test('layers with the same files in another order have no file that differs', async () => {
  const files = [
    { path: 'a', body: '1' },
    { path: 'b', body: '2' },
  ];
  expect(await compareLayers(tarLayer(files), tarLayer([...files].reverse()))).toEqual([]);
});
