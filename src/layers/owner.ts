import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** When a process started, in clock ticks since boot (field 22 of proc_pid_stat(5)); undefined: there is no such process. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined; // Gone, or never was.
  }
}

/** A name for a directory that belongs to this process as long as it lives. */
export const newOwnedName = (): string => `${process.pid}-${startOf(process.pid)}-${randomBytes(8).toString('hex')}`;

/** Whether the process that made the name is gone. Its number may have been given to another one: that started later. */
export function isOwnerGone(name: string): boolean {
  const [pid = '', start] = name.split('-');
  return /^[0-9]+$/.test(pid) && startOf(Number(pid)) !== start;
}
