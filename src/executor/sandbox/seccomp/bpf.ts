/** One instruction of classic BPF: struct sock_filter of linux/filter.h. */
export interface Instruction {
  readonly code: number;
  /** Instructions to skip where the comparison holds, and where not. */
  readonly ifTrue: number;
  readonly ifFalse: number;
  readonly k: number;
}

/** A piece of a program, which is left at its end or by a RET. */
export type Code = readonly Instruction[];

/** linux/bpf_common.h */
const LD_W_ABS = 0x20;
const ALU_AND_K = 0x54;
const JMP_JA = 0x05;
const JUMPS = { eq: 0x15, gt: 0x25, ge: 0x35 } as const;
const RET_K = 0x06;

/** The largest jump of a comparison; further ones go over a JA. */
const FAR = 255;
/** BPF_MAXINSNS of linux/bpf_common.h */
const MAX_INSTRUCTIONS = 4096;

const instruction = (code: number, k: number, ifTrue = 0, ifFalse = 0): Instruction => ({ code, k, ifTrue, ifFalse });

/** Loads 4 bytes of struct seccomp_data. */
export const load = (offset: number): Instruction => instruction(LD_W_ABS, offset);
export const and = (mask: number): Instruction => instruction(ALU_AND_K, mask);
export const result = (value: number): Instruction => instruction(RET_K, value);

/** Compares what was loaded last, without sign. */
export function jump(
  kind: keyof typeof JUMPS,
  k: number,
  skip: { readonly yes?: number; readonly no?: number },
): Instruction {
  return instruction(JUMPS[kind], k, skip.yes, skip.no);
}

/** `no`, or `yes` where the comparison holds; both have to end with a RET in every case. */
export function branch(
  kind: keyof typeof JUMPS,
  k: number,
  { yes, no }: { readonly yes: Code; readonly no: Code },
): Code {
  if (no.length <= FAR) return [jump(kind, k, { yes: no.length }), ...no, ...yes];
  return [jump(kind, k, { no: 1 }), instruction(JMP_JA, no.length), ...no, ...yes];
}

/** The bytes of struct sock_filter[] on a little-endian machine, as all of ours are. Throws `RangeError` where it is too long. */
export function encode(code: Code): Buffer {
  if (code.length > MAX_INSTRUCTIONS)
    throw new RangeError(`${code.length} instructions are more than a filter may have`);
  const bytes = Buffer.alloc(code.length * 8);
  code.forEach(({ code: operation, ifTrue, ifFalse, k }, index) => {
    bytes.writeUInt16LE(operation, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4);
  });
  return bytes;
}
