import { SYSCALL_WORDS } from './numbers.ts';

export type ArchitectureName = keyof typeof SYSCALL_WORDS;

export interface Architecture {
  readonly name: ArchitectureName;
  /** AUDIT_ARCH_* of linux/audit.h, which the kernel gives to a filter. */
  readonly audit: number;
  readonly numbers: ReadonlyMap<string, number>;
}

const AUDIT: Readonly<Record<ArchitectureName, number>> = {
  x86_64: 0xc000003e,
  x86: 0x40000003,
  aarch64: 0xc00000b7,
  arm: 0x40000028,
};

/** Calls with this bit are of the x32 ABI, which has the AUDIT_ARCH of x86_64 (asm/unistd.h). */
export const X32_BIT = 0x40000000;

const known = new Map<ArchitectureName, Architecture>();

export function getArchitecture(name: ArchitectureName): Architecture {
  const found = known.get(name) ?? { name, audit: AUDIT[name], numbers: readWords(SYSCALL_WORDS[name]) };
  known.set(name, found);
  return found;
}

function readWords(text: string): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>();
  let next = 0;
  for (const word of text.trim().split(/\s+/)) {
    if (/^\d/.test(word)) next = Number(word);
    else numbers.set(word, next++);
  }
  return numbers;
}

/** Of this process; undefined: there is no table for it. */
export function lookupNative(arch: string = process.arch): ArchitectureName | undefined {
  if (arch === 'x64') return 'x86_64';
  return arch === 'arm64' ? 'aarch64' : undefined;
}

/** Whether any architecture has such a call. */
export const isSystemCall = (name: string): boolean =>
  Object.keys(AUDIT).some((architecture) => getArchitecture(architecture as ArchitectureName).numbers.has(name)); // keys
