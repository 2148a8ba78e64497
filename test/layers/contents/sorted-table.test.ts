import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Row } from '../../../src/layers/contents/block.ts';
import { SortedFile } from '../../../src/layers/contents/sorted-file.ts';
import { SortedTable } from '../../../src/layers/contents/sorted-table.ts';
import { SortedWriter } from '../../../src/layers/contents/sorted-writer.ts';
import { scratch } from '../support.ts';

const home = scratch();
afterAll(home.remove);
let files = 0;
const newPath = (): string => join(home.path, String(files++));
const copy = ({ key, value }: Row): readonly [string, string] => [key, String(value)];

function writeRows(rows: Iterable<readonly [string, string]>): string {
  const path = newPath();
  const fd = openSync(path, 'wx');
  const writer = new SortedWriter(fd);
  for (const [key, value] of rows) writer.add(key, Buffer.from(value));
  writer.finish();
  closeSync(fd);
  return path;
}

function open(path: string): SortedFile {
  const file = SortedFile.open(path, () => undefined);
  if (!file) throw new Error('cannot be opened');
  return file;
}

const key = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.constantFrom('', 'a', 'a/b', 'a-b', '\u{1f600}', '\u{1f601}', '\uffff', 'x'.repeat(20_000)),
);
const value = fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('', 'y'.repeat(9000)));
const puts = fc.array(fc.tuple(key, value), { maxLength: 60 });
const inOrder = (rows: Iterable<readonly [string, string]>) => [...rows].sort(([a], [b]) => (a < b ? -1 : 1));

describe('a sorted table', () => {
  it('is a map in the order of its keys, wherever its rows lie', () => {
    fc.assert(
      fc.property(puts, fc.constantFrom(1, 2000, 1_000_000), (rows, freshBytes) => {
        using table = new SortedTable(newPath, freshBytes);
        const model = new Map<string, string>();
        for (const [name, text] of rows) {
          expect(table.get(name)?.toString()).toBe(model.get(name));
          table.put(name, Buffer.from(text));
          model.set(name, text);
        }
        for (const [name, text] of model) expect(table.get(name)?.toString()).toBe(text);
        expect([...table.rows()].length).toBe(model.size);
        expect(Array.from(table.rows(), copy)).toEqual(inOrder(model));
      }),
      { numRuns: 200 },
    );
  });

  it('leaves no file behind, not even while it is used', () => {
    const before = readdirSync(home.path).length;
    using table = new SortedTable(newPath, 1000);
    for (let n = 0; n < 1000; n++) table.put(`k${n}`, Buffer.from('v'));
    expect(table.get('k500')?.toString()).toBe('v');
    expect(readdirSync(home.path).length).toBe(before);
  });
});

describe('a sorted file', () => {
  it('finds the rows that were written, and the next ones to others', () => {
    fc.assert(
      fc.property(puts, fc.array(key), (rows, others) => {
        const sorted = inOrder(new Map(rows));
        const file = open(writeRows(sorted));
        for (const name of [...sorted.map(([name]) => name), ...others]) {
          const next = sorted.find(([candidate]) => candidate >= name);
          const found = file.first(name);
          expect(found && copy(found)).toEqual(next);
          expect(file.get(name)?.toString()).toBe(next?.[0] === name ? next[1] : undefined);
        }
        expect(Array.from(file.rows(), copy)).toEqual(sorted);
      }),
      { numRuns: 200 },
    );
  });

  it('has as many levels as it needs', () => {
    const rows = Array.from({ length: 200_000 }, (_, n) => [`k${String(n).padStart(7, '0')}`, `v${n}`] as const);
    const file = open(writeRows(rows));
    for (let n = 0; n < rows.length; n += 997) expect(file.get(rows[n]?.[0] ?? '')?.toString()).toBe(`v${n}`);
    expect(file.get('k0000000x')).toBeUndefined();
    expect(file.first('k0000000x')?.key).toBe('k0000001');
    expect(file.first('l')).toBeUndefined();
  });

  it('never gives other bytes than those that were written', () => {
    const rows = Array.from({ length: 2000 }, (_, n) => [`key ${String(n).padStart(5, '0')}`, `value ${n}`] as const);
    const path = writeRows(rows);
    const whole = readFileSync(path);
    const positions = [...whole.keys()].filter((at) => at % 61 === 0 || at < 20 || at > whole.length - 40);
    for (const at of positions) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      writeFileSync(path, damaged);
      let wasFound = false;
      const file = SortedFile.open(path, () => {
        wasFound = true;
      });
      if (!file) continue;
      try {
        expect(Array.from(file.rows(), copy)).toEqual(rows);
      } catch (error) {
        expect(error).toMatchObject({ code: 'E_CORRUPT_STORE' });
        expect(wasFound).toBe(true);
      }
    }
  });

  it('is none where it is cut off, empty or of another version', () => {
    const path = writeRows([['a', 'b']]);
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      expect(SortedFile.open(path, () => undefined)).toBeUndefined();
    }
    writeFileSync(path, '{"tarIndex":1}\n'.repeat(10));
    expect(SortedFile.open(path, () => undefined)).toBeUndefined();
  });
});
