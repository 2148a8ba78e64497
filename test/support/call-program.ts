/** One system call of a program: numbers and texts in registers; `previous`: what the call before it returned. */
export interface SystemCall {
  readonly number: number;
  readonly args?: readonly (number | bigint | string)[];
}

/** Stands for the result of the call before. */
export const PREVIOUS = '\0previous';

const BASE = 0x400000;
const HEADERS = 64 + 56;
const EXIT = 60;

/** mov rdi/rsi/rdx/r10/r8/r9, imm64; and from rbx, where results are kept. */
const REGISTERS: readonly { readonly immediate: readonly number[]; readonly fromRbx: readonly number[] }[] = [
  { immediate: [0x48, 0xbf], fromRbx: [0x48, 0x89, 0xdf] },
  { immediate: [0x48, 0xbe], fromRbx: [0x48, 0x89, 0xde] },
  { immediate: [0x48, 0xba], fromRbx: [0x48, 0x89, 0xda] },
  { immediate: [0x49, 0xba], fromRbx: [0x49, 0x89, 0xda] },
  { immediate: [0x49, 0xb8], fromRbx: [0x49, 0x89, 0xd8] },
  { immediate: [0x49, 0xb9], fromRbx: [0x49, 0x89, 0xd9] },
];
const MOV_RAX = [0x48, 0xb8];
const SYSCALL_AND_KEEP = [0x0f, 0x05, 0x48, 0x89, 0xc3]; // syscall; mov rbx, rax
const MOV_RDI_RBX_NEG_RDI = [0x48, 0x89, 0xdf, 0x48, 0xf7, 0xdf];
const XOR_EDI = [0x31, 0xff];
const TEST_RBX = [0x48, 0x85, 0xdb];

/**
 * A static program for x86_64 that makes these calls and ends with the errno of the last one as its status, 0 where that
 * succeeded. So tests can try any system call without a compiler.
 */
export function callProgram(calls: readonly SystemCall[]): Buffer {
  // texts lie behind the code, whose length does not depend on where that is
  const length = assemble(calls, 0).code.length;
  const { code, texts } = assemble(calls, BASE + HEADERS + length);
  const body = Buffer.concat([code, texts]);
  return Buffer.concat([elfHeaders(body.length), body]);
}

function assemble(calls: readonly SystemCall[], textsAt: number): { readonly code: Buffer; readonly texts: Buffer } {
  const texts: Buffer[] = [];
  let next = textsAt;
  const place = (text: string): bigint => {
    const bytes = Buffer.from(`${text}\0`);
    const at = next;
    texts.push(bytes);
    next += bytes.length;
    return BigInt(at);
  };
  const code = calls.flatMap(({ number, args = [] }) => [
    ...args.flatMap((value, index) => {
      const register = REGISTERS[index] ?? { immediate: [], fromRbx: [] };
      if (value === PREVIOUS) return [...register.fromRbx];
      return [...register.immediate, ...quad(typeof value === 'string' ? place(value) : BigInt(value))];
    }),
    ...MOV_RAX,
    ...quad(BigInt(number)),
    ...SYSCALL_AND_KEEP,
  ]);
  const exit = [...MOV_RAX, ...quad(BigInt(EXIT)), 0x0f, 0x05];
  // js: a negative result goes on to its negation, another one ends with 0
  const success = [...XOR_EDI, ...exit];
  const end = [...TEST_RBX, 0x78, success.length, ...success, ...MOV_RDI_RBX_NEG_RDI, ...exit];
  return { code: Buffer.from([...code, ...end]), texts: Buffer.concat(texts) };
}

function quad(value: bigint): number[] {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return [...bytes];
}

/** elf(5): one segment with everything, readable, writable and executable. */
function elfHeaders(size: number): Buffer {
  const header = Buffer.alloc(HEADERS);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16); // ET_EXEC
  header.writeUInt16LE(62, 18); // EM_X86_64
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(BASE + HEADERS), 24); // entry
  header.writeBigUInt64LE(64n, 32); // program headers
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt32LE(1, 64); // PT_LOAD
  header.writeUInt32LE(7, 68);
  header.writeBigUInt64LE(BigInt(BASE), 80);
  header.writeBigUInt64LE(BigInt(BASE), 88);
  header.writeBigUInt64LE(BigInt(HEADERS + size), 96);
  header.writeBigUInt64LE(BigInt(HEADERS + size), 104);
  header.writeBigUInt64LE(0x1000n, 112);
  return header;
}
