import { BuildError } from '../errors.ts';
import type { ByteStream } from '../oci/index.ts';
import { BitInput } from './compression-bits.ts';

const BLOCK_MAGIC = 0x314159265359;
const END_MAGIC = 0x177245385090;
const MAX_CODE_BITS = 20;
/** Symbols that one Huffman table decodes before the next selector counts. */
const GROUP_SYMBOLS = 50;
/** No compressed block is longer: 900,000 symbols of 20 bits, selectors and tables. */
const MAX_BLOCK_BYTES = 2_500_000;
const OUTPUT_BYTES = 64 * 1024;

const damaged = (why: string): BuildError =>
  new BuildError('E_BAD_LAYER', `Cannot decompress bzip2 data: ${why}`, {
    hint: 'Fetch the file again or make it anew',
  });

/**
 * bzip2, one block at a time (at most 8 MiB of memory), streams that follow one another joined, every checksum verified.
 * An own decoder because the packages hold whole files or give a bomb's output at once.
 */
export async function* bunzip(bytes: ByteStream): ByteStream {
  const input = new BitInput(bytes, MAX_BLOCK_BYTES);
  try {
    do yield* bunzipStream(input);
    while (await input.hasMore());
  } finally {
    await input.close();
  }
}

async function* bunzipStream(input: BitInput): ByteStream {
  await input.fill();
  const magic = input.read(24);
  const level = input.read(8) - 0x30;
  if (magic !== 0x425a68 || level < 1 || level > 9) throw damaged('it does not begin with a bzip2 header');
  const table = new Uint32Array(level * 100_000);
  let combined = 0;
  for (;;) {
    await input.fill();
    const kind = input.read(24) * 2 ** 24 + input.read(24);
    const crc = ((input.read(16) << 16) | input.read(16)) >>> 0;
    if (kind === END_MAGIC && crc === combined && !input.isOverrun) return input.align();
    if (kind !== BLOCK_MAGIC) throw damaged('it is damaged or cut off');
    const block = readBlock(input, table);
    if (input.isOverrun) throw damaged('it is cut off');
    yield* output(block, crc);
    combined = (((combined << 1) | (combined >>> 31)) ^ crc) >>> 0;
  }
}

/** `table[i]`: low 8 bits the byte, above them the index of its successor. */
interface Block {
  readonly table: Uint32Array;
  readonly size: number;
  readonly origin: number;
}

function readBlock(input: BitInput, table: Uint32Array): Block {
  if (input.read(1) !== 0) throw damaged('randomised blocks are not supported (bzip2 before 0.9.5)');
  const origin = input.read(24);
  const used = readUsedBytes(input);
  const codes = readCodes(input, used.length + 2);
  const size = readSymbols(input, { table, used, codes });
  if (origin >= size) throw damaged('a block is malformed');
  link(table, size);
  return { table, size, origin };
}

function readUsedBytes(input: BitInput): Uint8Array {
  const rows = input.read(16);
  const used: number[] = [];
  for (let row = 0; row < 16; row++) {
    if (!(rows & (0x8000 >> row))) continue;
    const bits = input.read(16);
    for (let column = 0; column < 16; column++) if (bits & (0x8000 >> column)) used.push(row * 16 + column);
  }
  if (used.length === 0) throw damaged('a block is malformed');
  return Uint8Array.from(used);
}

/** Canonical Huffman: a code of `length` bits, left-justified to 20, is below `limits[length]`. */
interface Code {
  readonly limits: Uint32Array;
  readonly bases: Int32Array;
  readonly symbols: Uint16Array;
}

interface Codes {
  readonly tables: readonly Code[];
  readonly selectors: Uint8Array;
}

function readCodes(input: BitInput, alphabet: number): Codes {
  const groups = input.read(3);
  const count = input.read(15);
  if (groups < 2 || groups > 6 || count < 1) throw damaged('a block is malformed');
  const recent = [0, 1, 2, 3, 4, 5].slice(0, groups);
  const selectors = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    let at = 0;
    while (input.read(1) === 1) if (++at >= groups) throw damaged('a block is malformed');
    const [selector = 0] = recent.splice(at, 1);
    recent.unshift(selector);
    selectors[i] = selector;
  }
  return { selectors, tables: Array.from({ length: groups }, () => readCode(input, alphabet)) };
}

function readCode(input: BitInput, alphabet: number): Code {
  const lengths = new Uint8Array(alphabet);
  let length = input.read(5);
  for (let symbol = 0; symbol < alphabet; symbol++) {
    while (input.read(1) === 1) length += input.read(1) === 0 ? 1 : -1;
    if (length < 1 || length > MAX_CODE_BITS) throw damaged('a block is malformed');
    lengths[symbol] = length;
  }
  const limits = new Uint32Array(MAX_CODE_BITS + 1);
  const bases = new Int32Array(MAX_CODE_BITS + 1);
  const symbols: number[] = [];
  let code = 0;
  for (let bits = 1; bits <= MAX_CODE_BITS; bits++) {
    bases[bits] = code - symbols.length;
    for (let symbol = 0; symbol < alphabet; symbol++) if (lengths[symbol] === bits) symbols.push(symbol);
    code = (bases[bits] ?? 0) + symbols.length;
    limits[bits] = Math.min(code * 2 ** (MAX_CODE_BITS - bits), 2 ** MAX_CODE_BITS);
    code *= 2;
    if (code > 2 ** 21) throw damaged('a block is malformed');
  }
  return { limits, bases, symbols: Uint16Array.from(symbols) };
}

function readSymbol(input: BitInput, { limits, bases, symbols }: Code): number {
  const bits = input.peek(MAX_CODE_BITS);
  let length = 1;
  while (length <= MAX_CODE_BITS && bits >= (limits[length] ?? 0)) length++;
  const symbol = symbols[(bits >>> (MAX_CODE_BITS - length)) - (bases[length] ?? 0)];
  if (length > MAX_CODE_BITS || symbol === undefined) throw damaged('a block is malformed');
  input.drop(length);
  return symbol;
}

interface Target {
  readonly table: Uint32Array;
  readonly used: Uint8Array;
  readonly codes: Codes;
}

/** Undoes Huffman, run lengths and move-to-front; gives the number of bytes, which are in `table`. */
function readSymbols(input: BitInput, { table, used, codes }: Target): number {
  const recent = Uint8Array.from(used);
  const end = used.length + 1;
  let size = 0;
  let run = 0;
  let weight = 1;
  for (let count = 0; ; count++) {
    const selector = codes.selectors[Math.floor(count / GROUP_SYMBOLS)];
    const code = selector === undefined ? undefined : codes.tables[selector];
    if (code === undefined) throw damaged('a block is malformed');
    const symbol = readSymbol(input, code);
    if (symbol <= 1) {
      run += weight << symbol;
      weight *= 2;
      if (size + run > table.length) throw damaged('a block is malformed');
      continue;
    }
    if (run > 0) {
      table.fill(recent[0] ?? 0, size, size + run);
      size += run;
      run = 0;
      weight = 1;
    }
    if (symbol === end) return size;
    if (size >= table.length) throw damaged('a block is malformed');
    const byte = recent[symbol - 1] ?? 0;
    recent.copyWithin(1, 0, symbol - 1);
    recent[0] = byte;
    table[size++] = byte;
  }
}

/** Inverts the Burrows-Wheeler transform: writes each byte's successor above it. */
function link(table: Uint32Array, size: number): void {
  const starts = new Uint32Array(257);
  for (let i = 0; i < size; i++) {
    const next = (table[i] ?? 0) + 1;
    starts[next] = (starts[next] ?? 0) + 1;
  }
  for (let byte = 1; byte < 257; byte++) starts[byte] = (starts[byte] ?? 0) + (starts[byte - 1] ?? 0);
  for (let i = 0; i < size; i++) {
    const byte = (table[i] ?? 0) & 0xff;
    const at = starts[byte] ?? 0;
    starts[byte] = at + 1;
    table[at] = (table[at] ?? 0) | (i << 8);
  }
}

/** Undoes the first run-length coding: four equal bytes are followed by a count of further ones. */
function* output({ table, size, origin }: Block, expected: number): Generator<Uint8Array> {
  const crc = new BlockCrc();
  let chunk = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  let filled = 0;
  let at = (table[origin] ?? 0) >>> 8;
  let previous = -1;
  let equal = 0;
  for (let i = 0; i < size; i++) {
    const entry = table[at] ?? 0;
    at = entry >>> 8;
    const byte = entry & 0xff;
    const isCount = equal === 4;
    const value = isCount ? previous : byte;
    const repeat = isCount ? byte : 1;
    equal = isCount ? 0 : byte === previous ? equal + 1 : 1;
    previous = isCount ? -1 : byte;
    if (filled + repeat > OUTPUT_BYTES) {
      yield crc.add(chunk.subarray(0, filled));
      chunk = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
      filled = 0;
    }
    for (let n = 0; n < repeat; n++) chunk[filled++] = value;
  }
  yield crc.add(chunk.subarray(0, filled));
  if (crc.value !== expected) throw damaged('a checksum is wrong');
}

/** Made when something is read: not at each start. */
let table: Uint32Array | undefined;

const crcTable = (): Uint32Array =>
  Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000_0000 ? (crc << 1) ^ 0x04c1_1db7 : crc << 1;
    return crc;
  });

/** CRC-32 with the bits in the order opposite to zlib's. */
class BlockCrc {
  #crc = 0xffff_ffff;

  get value(): number {
    return ~this.#crc >>> 0;
  }

  add(bytes: Uint8Array): Uint8Array {
    table ??= crcTable();
    const ofByte = table;
    let crc = this.#crc;
    for (const byte of bytes) crc = (crc << 8) ^ (ofByte[(crc >>> 24) ^ byte] ?? 0);
    this.#crc = crc;
    return bytes;
  }
}
