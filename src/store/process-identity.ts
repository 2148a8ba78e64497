import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';

/** Tells a process from every other one that a shared directory may see. '' where /proc has no answer. */
export interface ProcessIdentity {
  /** Inode of the pid namespace: in another one, a pid says nothing to us. */
  readonly pidNamespace: string;
  /** Namespaces of different machines and boots have equal inodes. */
  readonly boot: string;
  /** Clock ticks after boot (proc(5), stat field 22): tells a process from a later one with its pid. */
  readonly processStart: string;
}

export function identityOf(pid: number): ProcessIdentity {
  return {
    pidNamespace: pidNamespace(),
    boot: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    processStart: attempt(() => startOf(readFileSync(`/proc/${pid}/stat`, 'utf8'))),
  };
}

/** A name that no two processes choose, and from which its owner can be told. */
export const temporaryName = (): string => `.tmp-${pidNamespace()}-${process.pid}-${randomBytes(8).toString('hex')}`;

/** The process that chose this temporary name ran here and is gone. */
export function isOrphaned(name: string): boolean {
  const [, namespace, pid] = /^\.tmp-(\d+)-(\d+)-/.exec(name) ?? [];
  return namespace !== undefined && namespace === pidNamespace() && identityOf(Number(pid)).processStart === '';
}

const pidNamespace = (): string => attempt(() => readlinkSync('/proc/self/ns/pid').replace(/\D/g, ''));

/** Field 22; the second field is a name in parentheses that may hold anything. '' for one that ended and was not reaped yet. */
function startOf(text: string): string {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? '' : (fields[19] ?? '');
}

function attempt(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
