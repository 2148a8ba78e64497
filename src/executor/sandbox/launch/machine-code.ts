/** Where the code finds things: the record of the last failed call, and the first call; see `program.ts`. */
export const FAILURE_ADDRESS = 0x40000000;
export const CALLS_ADDRESS = 0x40000100;

export interface Machine {
  /** e_machine of elf(5). */
  readonly elf: number;
  readonly code: Buffer;
}

/**
 * mov ebx, CALLS; mov ebp, FAILURE
 * next: mov rax, [rbx]; mov rdi, [rbx+8]; mov rsi, [rbx+16]; mov rdx, [rbx+24]; mov r10, [rbx+32]; mov r8, [rbx+40]; mov r9, [rbx+48]
 *   syscall; mov rcx, [rbx+72]; mov [rcx], rax; test rax, rax; js failed; jz zero; add rbx, 80; jmp next
 * failed: mov [rbp+8], rax; mov [rbp+16], rbx; mov rbx, [rbx+56]; jmp next
 * zero: mov rbx, [rbx+64]; jmp next
 */
const X64 = `
  bb00010040 bd00000040
  488b03 488b7b08 488b7310 488b5318 4c8b5320 4c8b4328 4c8b4b30
  0f05 488b4b48 488901 4885c0 7808 7414 4883c350 ebcf
  48894508 48895d10 488b5b38 ebc1
  488b5b40 ebbb`;

/**
 * movz x19, #0x4000, lsl #16; movz x20, #0x4000, lsl #16; movk x19, #0x100
 * next: ldr x8, [x19]; ldp x0, x1, [x19, #8]; ldp x2, x3, [x19, #24]; ldp x4, x5, [x19, #40]
 *   svc #0; ldr x9, [x19, #72]; str x0, [x9]; tbnz x0, #63, failed; cbz x0, zero; add x19, x19, #80; b next
 * failed: stp x0, x19, [x20, #8]; ldr x19, [x19, #56]; b next
 * zero: ldr x19, [x19, #64]; b next
 */
const ARM64_WORDS = [
  0xd2a80013, 0xd2a80014, 0xf2802013, 0xf9400268, 0xa9408660, 0xa9418e62, 0xa9429664, 0xd4000001, 0xf9402669,
  0xf9000120, 0xb7f80080, 0xb40000c0, 0x91014273, 0x17fffff6, 0xa900ce80, 0xf9401e73, 0x17fffff3, 0xf9402273,
  0x17fffff1,
];

const MACHINES: Readonly<Record<string, Machine>> = {
  x64: { elf: 62, code: Buffer.from(X64.replace(/\s/g, ''), 'hex') },
  arm64: { elf: 183, code: Buffer.from(Uint32Array.from(ARM64_WORDS).buffer) },
};

/**
 * Code that makes the system calls of a list one after the other; undefined: there is none for this processor. A call is ten
 * words: number, six arguments, the address of the call to go on with after an error, the same after 0, and where its result goes.
 */
export const lookupMachine = (arch: string = process.arch): Machine | undefined => MACHINES[arch];
