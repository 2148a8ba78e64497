import fc from 'fast-check';
import { expect, it } from 'vitest';
import { flattenLayers, type TarEntry } from '../../src/layers/index.ts';
import type { Layer } from '../../src/oci/index.ts';
import { type TestEntry, tarLayer } from './support.ts';

/** Path to what is there: `dir:MODE`, `file:TEXT`. */
type Tree = Map<string, string>;

const show = (entry: TarEntry, body: string): string =>
  entry.type === 'directory'
    ? `dir:${entry.mode.toString(8)}`
    : `${entry.type}:${entry.type === 'symlink' ? entry.linkname : body}`;

async function flattened(layers: readonly Layer[]): Promise<Tree> {
  const tree: Tree = new Map();
  for await (const { entry, body } of flattenLayers(layers)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(Uint8Array.from(chunk));
    if (entry.type === 'hardlink') tree.set(entry.path, tree.get(entry.linkname) ?? 'link to nothing');
    else tree.set(entry.path, show(entry, Buffer.concat(chunks).toString()));
  }
  return tree;
}

/** What a stack of layers means, by applying one after the other to a tree (OCI image-spec layer.md, "Applying Changesets"). */
function applied(stack: readonly (readonly TestEntry[])[]): Tree {
  const tree: Tree = new Map();
  const drop = (path: string, own: ReadonlySet<string>): void => {
    for (const known of [...tree.keys()])
      if ((known === path || known.startsWith(`${path}/`)) && !own.has(known)) tree.delete(known);
  };
  for (const layer of stack) {
    const parts = layer.map((entry) => ({ entry, path: entry.path.replace(/\/$/, '') }));
    for (const { path } of parts) {
      const cut = path.lastIndexOf('/.wh.');
      const [directory, name] = cut >= 0 ? [path.slice(0, cut), path.slice(cut + 5)] : ['', path.slice(4)];
      if (!path.slice(cut + 1).startsWith('.wh.')) continue;
      const prefix = directory === '' ? '' : `${directory}/`;
      if (name === '.wh..opq') for (const known of [...tree.keys()]) known.startsWith(prefix) && tree.delete(known);
      else drop(`${prefix}${name}`, new Set());
    }
    for (const { entry, path } of parts) {
      if (/(^|\/)\.wh\./.test(path)) continue;
      const parents = path
        .split('/')
        .slice(0, -1)
        .map((_, i, all) => all.slice(0, i + 1).join('/'));
      for (const parent of parents) {
        if (tree.get(parent)?.startsWith('dir')) continue;
        tree.delete(parent);
        tree.set(parent, 'dir:implied');
      }
      const isDirectory = entry.path.endsWith('/');
      if (!isDirectory) drop(path, new Set());
      tree.set(path, isDirectory ? `dir:${(entry.mode ?? 0o755).toString(8)}` : `file:${entry.body}`);
    }
  }
  for (const [path, value] of [...tree]) if (value === 'dir:implied') tree.delete(path);
  return tree;
}

const sorted = (tree: Tree) => [...tree].sort(([a], [b]) => (a < b ? -1 : 1));

const name = fc.constantFrom('a', 'b', 'c');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const member = fc.oneof(
  { weight: 3, arbitrary: fc.record({ path, body: fc.constantFrom('1', '2', '3') }) },
  { weight: 3, arbitrary: fc.record({ path: path.map((p) => `${p}/`), mode: fc.constantFrom(0o700, 0o711, 0o755) }) },
  { weight: 2, arbitrary: path.map((p) => ({ path: p.replace(/[^/]*$/, '.wh.$&'), body: '' })) },
  { weight: 1, arbitrary: path.map((p) => ({ path: `${p}/.wh..wh..opq`, body: '' })) },
);

/** A layer is a tree itself: each name once, nothing below a file, no file where a directory must be. */
const layer = fc
  .uniqueArray(member, { maxLength: 8, selector: (entry) => entry.path.replace(/\/$/, '') })
  .map((entries) => {
    const files = new Set(entries.filter((entry) => !entry.path.endsWith('/')).map((entry) => entry.path));
    return entries.filter(
      ({ path: p }) => !p.split('/').some((_, i, parts) => i > 0 && files.has(parts.slice(0, i).join('/'))),
    );
  });

it('shows what applying one layer after the other shows', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 4 }), async (stack) => {
      const flat = await flattened(stack.map((entries) => tarLayer(entries)));
      expect(sorted(flat)).toEqual(sorted(applied(stack)));
    }),
    { numRuns: 500 },
  );
});

it.each<[string, TestEntry[][], Record<string, string>]>([
  ['a deletion', [[{ path: 'a', body: '1' }], [{ path: '.wh.a' }]], {}],
  [
    'a deletion beside a new directory of the name',
    [
      [{ path: 'd/' }, { path: 'd/x', body: '1' }],
      [{ path: 'd/' }, { path: '.wh.d' }],
    ],
    { d: 'dir:755' },
  ],
  [
    'a file between two directories of one name',
    [[{ path: 'd/' }, { path: 'd/x', body: '1' }], [{ path: 'd', body: '2' }], [{ path: 'd/' }]],
    { d: 'dir:755' },
  ],
  [
    'an opaque root',
    [[{ path: 'a', body: '1' }], [{ path: '.wh..wh..opq' }, { path: 'b', body: '2' }]],
    { b: 'file:2' },
  ],
  [
    'a directory over a file that only its contents tell of',
    [[{ path: 'a', body: '1' }], [{ path: 'a/b', body: '2' }]],
    { 'a/b': 'file:2' },
  ],
  [
    'a hard link to a file that a higher layer replaced',
    [
      [
        { path: 'a', body: 'old' },
        { path: 'b', type: 'hardlink', linkname: 'a' },
      ],
      [{ path: 'a', body: 'new' }],
    ],
    { a: 'file:new', b: 'file:old' },
  ],
  [
    'a hard link into the layer below, to a link there',
    [
      [
        { path: 'a', body: '1' },
        { path: 'b', type: 'hardlink', linkname: 'a' },
      ],
      [{ path: 'c', type: 'hardlink', linkname: 'b' }],
    ],
    { a: 'file:1', b: 'file:1', c: 'file:1' },
  ],
])('flattens %s', async (_name, stack, expected) => {
  expect(Object.fromEntries(sorted(await flattened(stack.map(tarLayer))))).toEqual(expected);
});

it('refuses a link to nothing, and links in a circle', async () => {
  const lost = tarLayer([{ path: 'b', type: 'hardlink', linkname: 'a' }]);
  await expect(flattened([lost])).rejects.toMatchObject({ code: 'E_BAD_LAYER' });
  const circle = tarLayer([
    { path: 'b', type: 'hardlink', linkname: 'a' },
    { path: 'a', type: 'hardlink', linkname: 'b' },
  ]);
  const top = tarLayer([{ path: 'c', type: 'hardlink', linkname: 'a' }]);
  await expect(flattened([circle, top])).rejects.toMatchObject({ code: 'E_BAD_LAYER' });
});
