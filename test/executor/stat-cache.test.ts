import fc from 'fast-check';
import { expect, it } from 'vitest';
import { STAMP_BYTES } from '../../src/executor/file-stat.ts';
import { StatCache } from '../../src/executor/stat-cache.ts';

const HASH = 'a'.repeat(64);
const none = new Map<string, never>();
const empty = Buffer.alloc(0);
const stampOf = (text: string): string => text.padEnd(STAMP_BYTES, '\0');

const cacheOf = (...paths: readonly string[]): StatCache =>
  new StatCache(
    new StatCache(empty).with(
      new Map(paths.map((path) => [path, { stamp: stampOf(`1 ${path.length}`), sha256: HASH, xattrs: '[]' }])),
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
        expect(cache.lookup(asked, stampOf(`1 ${asked.length}`))).toEqual({ sha256: HASH, xattrs: '[]' });
        expect(cache.lookup(asked, stampOf(`2 ${asked.length}`))).toEqual({});
        expect(cache.lookup(asked, stampOf('1'))).toEqual({});
      }
      expect(cache.lookup('absent', stampOf('1 6'))).toEqual({});
    }),
  );
});

it('keeps what was asked for, in its order, with what was learned in its place', () => {
  const cache = cacheOf('one', 'two', 'four', 'three');
  for (const path of ['one', 'four', 'three']) cache.lookup(path, stampOf(`1 ${path.length}`));
  const bytes = cache.with(
    new Map([
      ['four', { stamp: stampOf('7 4'), xattrs: '[]' }],
      ['new', { stamp: stampOf('1 3') }],
    ]),
  );
  const kept = new StatCache(bytes);
  const all = { sha256: HASH, xattrs: '[]' };
  expect(kept.lookup('one', stampOf('1 3'))).toEqual(all);
  expect(kept.lookup('four', stampOf('7 4'))).toEqual({ xattrs: '[]' });
  expect(kept.lookup('three', stampOf('1 5'))).toEqual(all);
  expect(kept.lookup('new', stampOf('1 3'))).toEqual({});
  expect(kept.lookup('two', stampOf('1 3'))).toEqual({});
  expect(bytes.toString('latin1').match(/one|two|four|three|new/g)).toEqual(['one', 'four', 'three', 'new']);
});

it('keeps just what was asked for or learned, whatever that is', () => {
  const path = fc.string({ minLength: 1, unit: fc.constantFrom('a', 'b', '/', 'é') });
  const use = fc.constantFrom('asked for', 'changed', 'learned', 'left');
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(path, use), { selector: ([name]) => name }), (files) => {
      const cache = cacheOf(...files.map(([name]) => name));
      for (const [name, how] of files) {
        if (how === 'asked for') cache.lookup(name, stampOf(`1 ${name.length}`));
        if (how === 'changed') cache.lookup(name, stampOf('2'));
      }
      const learned = files.filter(([, how]) => how === 'changed' || how === 'learned');
      const kept = new StatCache(cache.with(new Map(learned.map(([name]) => [name, { stamp: stampOf('2') }]))));
      const again = new StatCache(kept.with(none));
      for (const [name, how] of files) {
        const isOld = how === 'asked for';
        expect(kept.lookup(name, stampOf(`1 ${name.length}`))).toEqual(isOld ? { sha256: HASH, xattrs: '[]' } : {});
        expect(again.lookup(name, stampOf(`1 ${name.length}`))).toEqual({});
      }
      expect(kept.with(none).length).toBe(cacheOf().with(none).length + sizeOf(files));
    }),
  );
});

/** Of the records that the test above asks for a second time: stamp, sha256, four numbers, path and attributes. */
const sizeOf = (files: readonly (readonly [string, string])[]): number =>
  files
    .filter(([, how]) => how === 'asked for')
    .reduce((sum, [name]) => sum + STAMP_BYTES + 32 + 16 + Buffer.byteLength(name) + 2, 0);

const whole = new StatCache(empty).with(new Map([['a', { stamp: stampOf('1 1'), sha256: HASH }]]));
const changed = Buffer.from(whole).fill(0xbb, whole.indexOf('\xaa', 'latin1'), whole.indexOf('\xaa', 'latin1') + 1);

it.each<[string, Buffer]>([
  ['nothing', empty],
  ['another format', Buffer.from('tsbuild-stat-cache 2\0' + '1 1\t\t\ta')],
  ['a part of it', whole.subarray(0, whole.length - 1)],
  ['only the head', whole.subarray(0, 29)],
  ['another byte', changed],
])('takes nothing from damaged bytes: %s', (_what, bytes) => {
  const cache = new StatCache(bytes);
  expect(cache.lookup('a', stampOf('1 1'))).toEqual({});
  expect(cache.with(none)).toEqual(new StatCache(empty).with(none));
});

it('takes what is whole', () => {
  expect(new StatCache(whole).lookup('a', stampOf('1 1'))).toEqual({ sha256: HASH });
});
