import { BuildError, systemErrorCode } from '../../errors.ts';
import type { Ulimit } from './settings.ts';
import { setLimit } from './syscalls.ts';

/** asm-generic/resource.h: the index is the number. */
const RESOURCES: readonly string[] =
  'cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio rttime'.split(' ');

/** Of this process, for what it starts next. Throws `E_SANDBOX` for more than it may have. */
export function limitProcess(limits: readonly Ulimit[]): void {
  for (const { resource, soft, hard } of limits) {
    try {
      setLimit(RESOURCES.indexOf(resource), { soft, hard });
    } catch (cause) {
      throw new BuildError('E_SANDBOX', `Cannot set --ulimit ${resource}: ${systemErrorCode(cause) ?? 'error'}`, {
        hint: 'A limit may be lowered, but not raised above what the build itself has: see ulimit -aH',
        cause,
      });
    }
  }
}
