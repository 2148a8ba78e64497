import { describe, expect, test } from 'vitest';
import { cacheKeyFrom, type DiffId, digestOf } from '../../src/oci/index.ts';
import { type CacheLimits, selectRecords, type UsedRecord } from '../../src/store/gc-select.ts';

// The digest of any text has the form of a diffID.
const diffIdOf = (text: string): DiffId => digestOf(text) as string as DiffId;

const used = (slot: string, usedMs: number, layer?: string): UsedRecord => ({
  usedMs,
  record: {
    key: cacheKeyFrom(slot),
    created: '2020-01-01T00:00:00Z',
    preimage: '{}',
    slot,
    ...(layer ? { layer: { diffId: diffIdOf(layer), sizeBytes: 1 } } : {}),
  },
});

const BYTES = new Map([
  [diffIdOf('small'), 10],
  [diffIdOf('large'), 100],
  [diffIdOf('old'), 5],
]);
const kept = (records: readonly UsedRecord[], limits: CacheLimits, fixedBytes = 0) =>
  selectRecords(records, limits, { fixedBytes, bytesOf: (diffId) => BYTES.get(diffId) ?? 0 }).map(({ slot }) => slot);

const RECORDS = [
  used('a', 50, 'small'),
  used('b', 40, 'large'),
  used('c', 30, 'old'),
  used('d', 20, 'image'),
  used('e', 10),
];

describe('of the cache, what stays', () => {
  test('is all of it without a limit', () => {
    expect(kept(RECORDS, {})).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('is what was used since', () => {
    expect(kept(RECORDS, { unusedSinceMs: 30 })).toEqual(['a', 'b', 'c']);
  });

  test('was used last, as far as the bytes reach, with what costs nothing', () => {
    expect(kept(RECORDS, { keepBytes: 110 })).toEqual(['a', 'b', 'd', 'e']);
    expect(kept(RECORDS, { keepBytes: 20 })).toEqual(['a', 'd', 'e']);
    expect(kept(RECORDS, { keepBytes: 115 }, 1)).toEqual(['a', 'b', 'd', 'e']);
    expect(kept(RECORDS, { keepBytes: 0 }, 50)).toEqual(['d', 'e']);
  });

  test('counts a layer of several steps once', () => {
    expect(kept([...RECORDS, used('f', 5, 'large')], { keepBytes: 110 })).toEqual(['a', 'b', 'd', 'e', 'f']);
  });
});
