import { BuildError, systemErrorCode } from '../../errors.ts';
import type { Ulimit } from './settings.ts';
import { prlimit } from './syscalls.ts';

/** asm-generic/resource.h: the index is the number. */
const RESOURCES: readonly string[] =
  'cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio rttime'.split(' ');

/**
 * Sets the limits of a process that was just started: those of a thread cannot be set, and this process must keep its own.
 * Throws `E_SANDBOX` for more than this process may have.
 */
export function limitProcess(pid: number, limits: readonly Ulimit[]): void {
  for (const { resource, soft, hard } of limits) {
    try {
      prlimit(pid, RESOURCES.indexOf(resource), { soft, hard });
    } catch (cause) {
      const code = systemErrorCode(cause);
      if (code === 'ESRCH') return; // it has ended already
      throw new BuildError('E_SANDBOX', `Cannot set the limit ${resource} of a step: ${code ?? 'error'}`, {
        hint: 'A limit may be lowered, but not raised above what the build itself has: see ulimit -aH',
        cause,
      });
    }
  }
}
