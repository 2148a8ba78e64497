import { CALLS_ADDRESS, FAILURE_ADDRESS, type Machine } from './machine-code.ts';

/** A place in bytes that the program has a copy of; the same bytes are one copy. */
export interface Place {
  readonly bytes: Uint8Array;
  readonly offset: number;
}

/** Eight bytes each, such as an array of pointers. */
export interface Words {
  readonly words: readonly Argument[];
}

/** A number as it is, else the address: of a string with a zero byte behind it, of bytes, of words. */
export type Argument = number | bigint | string | Uint8Array | Place | Words;

export interface Call {
  readonly name: string;
  readonly args?: readonly Argument[];
  /** For the jumps of others. */
  readonly label?: string;
  /** Where to go on; default: `FAILED`. */
  readonly onError?: string;
  /** Where to go on when the result is 0; default: the next call. */
  readonly onZero?: string;
  readonly result?: Place;
}

/** The label of what every program ends with: it reports the call that failed, and exits with 127. */
export const FAILED = 'failed';
/** The descriptor that reports go to. */
export const REPORT_FD = 3;
export const REPORT_BYTES = 24;

/** A report: what it is about, and two words. */
export function report(kind: number): Buffer {
  const bytes = Buffer.alloc(REPORT_BYTES);
  bytes.writeBigUInt64LE(BigInt(kind), 0);
  return bytes;
}

/** The kind of the report of a failed call (the memory for it begins with zeros): its words are the result and the call, for `callOf`. */
export const FAILURE = 0;

const CALL_BYTES = 80;
const SCRATCH_ADDRESS = FAILURE_ADDRESS + 128;

/** Which call of the list a failure report means. */
export const callOf = (calls: readonly Call[], address: bigint): Call | undefined =>
  calls[(Number(address) - CALLS_ADDRESS) / CALL_BYTES];

/** What stands in memory before the first call. */
class Memory {
  readonly #parts: Buffer[];
  readonly #copies = new Map<Uint8Array, number>();
  #end: number;

  constructor(calls: number) {
    const start = CALLS_ADDRESS - FAILURE_ADDRESS + calls * CALL_BYTES;
    this.#parts = [Buffer.alloc(start)];
    this.#end = FAILURE_ADDRESS + start;
  }

  bytes(table: Buffer): Buffer {
    const all = Buffer.concat(this.#parts);
    table.copy(all, CALLS_ADDRESS - FAILURE_ADDRESS);
    return all;
  }

  valueOf(argument: Argument): bigint {
    if (typeof argument === 'number' || typeof argument === 'bigint') return BigInt.asUintN(64, BigInt(argument));
    if (typeof argument === 'string') return BigInt(this.#put(Buffer.from(`${argument}\0`)));
    if (argument instanceof Uint8Array) return BigInt(this.#copyOf(argument));
    if ('bytes' in argument) return BigInt(this.#copyOf(argument.bytes) + argument.offset);
    return BigInt(this.#put(wordsOf(argument.words.map((word) => this.valueOf(word)))));
  }

  #copyOf(bytes: Uint8Array): number {
    const address = this.#copies.get(bytes) ?? this.#put(bytes);
    this.#copies.set(bytes, address);
    return address;
  }

  #put(bytes: Uint8Array): number {
    const address = this.#end;
    const padded = Buffer.alloc(Math.ceil(bytes.length / 8) * 8);
    padded.set(bytes);
    this.#parts.push(padded);
    this.#end += padded.length;
    return address;
  }
}

function wordsOf(values: readonly bigint[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  for (const [index, value] of values.entries()) bytes.writeBigUInt64LE(value, index * 8);
  return bytes;
}

/** How a program lies in its file: the code with the headers, and from here on the data. */
export const DATA_OFFSET = 0x10000;

export interface Program {
  readonly head: Buffer;
  readonly data: Buffer;
}

/** A program (elf(5), static) that makes these calls, and nothing else. `numbers`: of system calls by their names. */
export function assemble(calls: readonly Call[], numbers: ReadonlyMap<string, number>, machine: Machine): Program {
  const ending: readonly Call[] = [
    { name: 'write', label: FAILED, args: [REPORT_FD, FAILURE_ADDRESS, REPORT_BYTES] },
    { name: 'exit_group', args: [127] },
  ];
  const all = [...calls, ...ending];
  const labels = new Map(all.map(({ label }, index) => [label, addressOf(index)]));
  const memory = new Memory(all.length);
  const table = all.map(({ name, args = [], onError = FAILED, onZero, result }, index) => {
    const number = numbers.get(name);
    if (number === undefined) throw new RangeError(`there is no system call "${name}"`);
    const values = [...args, 0, 0, 0, 0, 0, 0].slice(0, 6).map((argument) => memory.valueOf(argument));
    const next = onZero === undefined ? addressOf(index + 1) : labels.get(onZero);
    const onward = [labels.get(onError), next].map((address) => BigInt(address ?? 0));
    return wordsOf([BigInt(number), ...values, ...onward, result ? memory.valueOf(result) : BigInt(SCRATCH_ADDRESS)]);
  });
  const data = memory.bytes(Buffer.concat(table));
  return { head: headOf(machine, data.length), data };
}

const addressOf = (index: number): number => CALLS_ADDRESS + index * CALL_BYTES;

const CODE_ADDRESS = 0x20000000;
const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474e551;
const [EXECUTE, WRITE, READ] = [1, 2, 4];
const PAGE = 0x10000; // the largest that any kernel has

/** The ELF header, the segments, the code. */
function headOf({ elf, code }: Machine, dataBytes: number): Buffer {
  const codeOffset = HEADER_BYTES + 3 * SEGMENT_BYTES;
  const header = Buffer.alloc(HEADER_BYTES);
  header.write('\x7fELF\x02\x01\x01', 'latin1'); // 64 bits, little endian, version 1
  header.writeUInt16LE(2, 16); // ET_EXEC
  header.writeUInt16LE(elf, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(CODE_ADDRESS + codeOffset), 24); // the entry
  header.writeBigUInt64LE(BigInt(HEADER_BYTES), 32); // where the segments are told
  header.writeUInt16LE(HEADER_BYTES, 52);
  header.writeUInt16LE(SEGMENT_BYTES, 54);
  header.writeUInt16LE(3, 56);
  return Buffer.concat([
    header,
    segment({ type: PT_LOAD, flags: READ | EXECUTE, offset: 0, address: CODE_ADDRESS, size: codeOffset + code.length }),
    segment({ type: PT_LOAD, flags: READ | WRITE, offset: DATA_OFFSET, address: FAILURE_ADDRESS, size: dataBytes }),
    segment({ type: PT_GNU_STACK, flags: READ | WRITE, offset: 0, address: 0, size: 0 }),
    code,
  ]);
}

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

function segment({ type, flags, offset, address, size }: Segment): Buffer {
  const bytes = Buffer.alloc(SEGMENT_BYTES);
  bytes.writeUInt32LE(type, 0);
  bytes.writeUInt32LE(flags, 4);
  for (const [index, value] of [offset, address, address, size, size, PAGE].entries())
    bytes.writeBigUInt64LE(BigInt(value), 8 + index * 8);
  return bytes;
}
