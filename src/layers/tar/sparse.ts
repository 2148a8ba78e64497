import { damaged } from './damaged.ts';
import { BLOCK, type Field, readCount } from './fields.ts';
import { type PaxRecord, readDecimal } from './pax.ts';

/** Where stored bytes lie in the real file; holes are between them. */
export interface SparseSegment {
  readonly offset: number;
  readonly length: number;
}

/** How the holes of a file are written (GNU tar manual, "Storing Sparse Files"). */
export interface SparseMap {
  readonly realSize: number;
  readonly segments: readonly SparseSegment[];
}

/** ext4's largest file. A hostile map could otherwise ask for exabytes of zeros. */
const MAX_SPARSE_BYTES = 2 ** 44;

/** The keywords that say that an entry is sparse, in any of the PAX versions. */
interface SparseKeywords {
  readonly version: '0' | '1.0';
  readonly name: Buffer | undefined;
  readonly realSize: number;
  /** Version 1.0 has its map at the start of the body instead. */
  readonly segments: readonly SparseSegment[];
}

/** undefined: not sparse. Repeated records (version 0.0) are why this reads the list and not a map. */
export function readSparseKeywords(records: readonly PaxRecord[]): SparseKeywords | undefined {
  const gnu = records.filter(([keyword]) => keyword.startsWith('GNU.sparse.'));
  if (gnu.length === 0) return undefined;
  const values = new Map(gnu.map(([keyword, value]) => [keyword.slice('GNU.sparse.'.length), value]));
  const text = (keyword: string) => values.get(keyword)?.toString('latin1');
  const major = text('major');
  if (major !== undefined && !(major === '1' && text('minor') === '0') && major !== '0') {
    throw damaged(`sparse format ${major}.${text('minor')} is not known`);
  }
  const realSize = count(values.get('realsize') ?? values.get('size'));
  const name = values.get('name');
  if (major === '1') return { version: '1.0', name, realSize, segments: [] };
  const map = text('map');
  const numbers =
    map === undefined ? pairsOf(gnu) : map === '' ? [] : map.split(',').map((part) => count(Buffer.from(part)));
  return { version: '0', name, realSize, segments: paired(numbers) };
}

function pairsOf(records: readonly PaxRecord[]): readonly number[] {
  const inOrder = records.filter(([keyword]) => keyword === 'GNU.sparse.offset' || keyword === 'GNU.sparse.numbytes');
  return inOrder.map(([keyword, value], index) => {
    if (keyword !== (index % 2 === 0 ? 'GNU.sparse.offset' : 'GNU.sparse.numbytes')) throw badMap();
    return count(value);
  });
}

function paired(numbers: readonly number[]): readonly SparseSegment[] {
  if (numbers.length % 2 !== 0) throw badMap();
  const segments: SparseSegment[] = [];
  for (let i = 0; i < numbers.length; i += 2) segments.push({ offset: numbers[i] ?? 0, length: numbers[i + 1] ?? 0 });
  return segments;
}

function count(value: Buffer | undefined): number {
  const number = value === undefined ? undefined : readDecimal(value);
  if (number === undefined) throw badMap();
  return number;
}

const badMap = () => damaged('its map of a sparse file is malformed');

/** Reads the map of version 1.0: at the start of the body, in whole blocks, decimal numbers each on a line. */
export class BodyMapReader {
  readonly #numbers: number[] = [];
  #rest = '';

  /** undefined: more blocks are needed. */
  add(block: Buffer): readonly SparseSegment[] | undefined {
    const lines = (this.#rest + block.toString('latin1')).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      this.#numbers.push(count(Buffer.from(line, 'latin1')));
      if (this.#isWhole()) return paired(this.#numbers.slice(1));
    }
    if (this.#rest.length > 20) throw badMap();
    return undefined;
  }

  #isWhole = (): boolean => this.#numbers.length === 2 * (this.#numbers[0] ?? 0) + 1;
}

const NUMBER = 12;
const OLD_HEADER = { map: 386, slots: 4, extended: 482, realSize: { at: 483, length: NUMBER } } as const;
const OLD_EXTENSION = { slots: 21, extended: 504 } as const;

/** Old GNU format (type `S`): the first four segments are in the header block. */
export function readOldSparse(block: Buffer): { readonly map: SparseMap; readonly isExtended: boolean } {
  const realSize = readOldNumber(block, OLD_HEADER.realSize);
  const segments = readSlots(block, OLD_HEADER.map, OLD_HEADER.slots);
  return { map: { realSize, segments }, isExtended: block[OLD_HEADER.extended] !== 0 };
}

/** Old GNU format: a block with 21 more segments. */
export function readOldExtension(block: Buffer) {
  return { segments: readSlots(block, 0, OLD_EXTENSION.slots), isExtended: block[OLD_EXTENSION.extended] !== 0 };
}

function readSlots(block: Buffer, at: number, slots: number): readonly SparseSegment[] {
  const segments: SparseSegment[] = [];
  for (let slot = at; slot < at + slots * 2 * NUMBER && block[slot] !== 0; slot += 2 * NUMBER) {
    const offset = readOldNumber(block, { at: slot, length: NUMBER });
    segments.push({ offset, length: readOldNumber(block, { at: slot + NUMBER, length: NUMBER }) });
  }
  return segments;
}

const readOldNumber = (block: Buffer, field: Field): number =>
  readCount(block, field, { what: 'map of a sparse file', max: Number.MAX_SAFE_INTEGER });

/** Segments must be in order, apart, inside the file, and make up the stored bytes. Throws `E_BAD_LAYER`. */
export function checkSparseMap({ realSize, segments }: SparseMap, storedSize: number): void {
  if (realSize > MAX_SPARSE_BYTES) throw damaged(`a sparse file of ${realSize} bytes is larger than any file can be`);
  let end = 0;
  let stored = 0;
  for (const { offset, length } of segments) {
    if (offset < end) throw badMap();
    end = offset + length;
    stored += length;
  }
  if (end > realSize || stored !== storedSize) throw badMap();
}

/** Old GNU map blocks and version 1.0 maps beyond this are refused. */
export const MAX_SPARSE_MAP_BYTES = 2048 * BLOCK;
