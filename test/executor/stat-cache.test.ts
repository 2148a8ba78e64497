import fc from 'fast-check';
import { expect, it } from 'vitest';
import { StatCache } from '../../src/executor/stat-cache.ts';

const HASH = 'a'.repeat(64);
const none = new Map<string, never>();

const cacheOf = (...paths: readonly string[]): StatCache =>
  new StatCache(
    new StatCache('').with(
      new Map(paths.map((path) => [path, { stamp: `1 ${path.length}`, sha256: HASH, xattrs: '[]' }])),
    ),
  );

it('finds files in any order, in the state that they were seen in', () => {
  const path = fc.string({ minLength: 1, unit: fc.constantFrom('a', '\t', '/', 'é', ' ') });
  fc.assert(
    fc.property(fc.uniqueArray(path), fc.array(fc.nat()), (paths, order) => {
      const cache = cacheOf(...paths);
      for (const at of order) {
        const asked = paths[at % Math.max(1, paths.length)];
        if (asked === undefined) continue;
        expect(cache.lookup(asked, `1 ${asked.length}`)).toEqual({ sha256: HASH, xattrs: '[]' });
        expect(cache.lookup(asked, `2 ${asked.length}`)).toEqual({});
        expect(cache.lookup(asked, '1')).toEqual({});
      }
      expect(cache.lookup('absent', '1 6')).toEqual({});
    }),
  );
});

it('keeps what was asked for, in its order, with what was learned in its place', () => {
  const cache = cacheOf('one', 'two', 'four', 'three');
  for (const path of ['one', 'four', 'three']) cache.lookup(path, `1 ${path.length}`);
  const kept = cache.with(
    new Map([
      ['four', { stamp: '7 4', xattrs: '[]' }],
      ['new', { stamp: '1 3' }],
    ]),
  );
  expect(kept.split('\0').slice(1)).toEqual([
    `1 3\t${HASH}\t[]\tone`,
    '7 4\t\t[]\tfour',
    `1 5\t${HASH}\t[]\tthree`,
    '1 3\t\t\tnew',
  ]);
});

it.each([
  '',
  'tsbuild-stat-cache 1\0' + '1 1\t\t\ta',
  'tsbuild-stat-cache 2\0' + '1 1\tshort\t\ta',
  'tsbuild-stat-cache 2\0' + 'a',
  'tsbuild-stat-cache 2\0' + '1 1\ta',
])('takes nothing from a damaged text: %j', (text) => {
  const cache = new StatCache(text);
  expect(cache.lookup('a', '1 1')).toEqual({});
  expect(cache.with(none).split('\0')).toHaveLength(1);
});
