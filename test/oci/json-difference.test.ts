import { expect, test } from 'vitest';
import { jsonDifferences } from '../../src/oci/index.ts';

test('JSON values differ at the places that are not the same, the order of members aside', () => {
  const one = { a: 1, b: { c: [1, 2], 'x y': null }, same: { p: 1, q: 2 } };
  const other = { same: { q: 2, p: 1 }, b: { c: [1, 3, 4], 'x y': {} }, new: 'n' };
  expect(jsonDifferences(one, other)).toEqual([
    { path: 'a', one: '1', other: undefined },
    { path: 'b.c[1]', one: '2', other: '3' },
    { path: 'b.c[2]', one: undefined, other: '4' },
    { path: 'b["x y"]', one: 'null', other: '{}' },
    { path: 'new', one: undefined, other: '"n"' },
  ]);
  expect(jsonDifferences([1], { 0: 1 })).toEqual([{ path: '', one: '[1]', other: '{"0":1}' }]);
});
