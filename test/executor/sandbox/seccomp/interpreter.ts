/** What a filter sees of a call: struct seccomp_data of linux/seccomp.h. */
export interface Call {
  readonly number: number;
  /** AUDIT_ARCH_* */
  readonly audit: number;
  readonly args?: readonly bigint[];
}

export const AUDIT = { x86_64: 0xc000003e, x86: 0x40000003, aarch64: 0xc00000b7, arm: 0x40000028 } as const;

/** Runs classic BPF as the kernel's filter does, and says what it returns: `allow`, `errno 1`, `kill process`, ... */
export function answerOf(program: Buffer, call: Call): string {
  const data = Buffer.alloc(64);
  data.writeInt32LE(call.number | 0, 0);
  data.writeUInt32LE(call.audit, 4);
  (call.args ?? []).forEach((value, index) => {
    data.writeBigUInt64LE(value, 16 + 8 * index);
  });
  return describe(run(program, data));
}

function run(program: Buffer, data: Buffer): number {
  let accumulator = 0;
  for (let at = 0; at * 8 < program.length; at++) {
    const code = program.readUInt16LE(at * 8);
    const k = program.readUInt32LE(at * 8 + 4);
    const skip = (holds: boolean) => program.readUInt8(at * 8 + (holds ? 2 : 3));
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x05) at += k;
    else if (code === 0x15) at += skip(accumulator === k);
    else if (code === 0x25) at += skip(accumulator > k);
    else if (code === 0x35) at += skip(accumulator >= k);
    else if (code === 0x06) return k;
    else throw new Error(`no such instruction: ${code}`);
  }
  throw new Error('the program has no end');
}

function describe(value: number): string {
  const low = value & 0xffff;
  switch ((value & 0xffff0000) >>> 0) {
    case 0x80000000:
      return 'kill process';
    case 0:
      return 'kill thread';
    case 0x00030000:
      return 'trap';
    case 0x00050000:
      return `errno ${low}`;
    case 0x7fc00000:
      return 'notify';
    case 0x7ff00000:
      return `trace ${low}`;
    case 0x7ffc0000:
      return 'log';
    case 0x7fff0000:
      return 'allow';
    default:
      return `? ${value}`;
  }
}
