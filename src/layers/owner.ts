import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';

/** When a process started, in clock ticks since boot (field 22 of proc_pid_stat(5)); undefined: there is no such process,
 *  or it has ended and only its parent has not asked yet (state Z). */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : rest[18];
  } catch {
    return undefined; // Gone, or never was.
  }
}

/** Digits that name this process' pid namespace (pid_namespaces(7)): process numbers mean something in it only. */
const pidNamespace = (): string => readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');

/** A name for a directory of `active` that belongs to this process as long as it lives; later it is cleared away. */
export const newOwnedName = (): string =>
  [pidNamespace(), process.pid, startOf(process.pid), randomBytes(8).toString('hex')].join('-');

/**
 * Whether the process that made the name is gone. Its number may have been given to another one: that started later.
 * Of processes in other pid namespaces (a container that shares the store) nothing is known: they count as alive.
 */
export function isOwnerGone(name: string): boolean {
  const [namespace, pid = '', start] = name.split('-');
  return namespace === pidNamespace() && /^[0-9]+$/.test(pid) && startOf(Number(pid)) !== start;
}
