import { systemErrorCode } from '../../../errors.ts';
import { setSeccompFilter } from './calls.ts';

export interface InstallOptions {
  /** Calls with the action `notify` are answered by whoever reads the returned descriptor (seccomp_unotify(2)). */
  readonly listener?: boolean | undefined;
}

/** linux/seccomp.h */
const FLAG_SPEC_ALLOW = 1 << 2;
const FLAG_NEW_LISTENER = 1 << 3;

/**
 * Puts a program of `compileProfile` before every further system call of the calling thread and of what it starts; for good.
 * The thread must have CAP_SYS_ADMIN in its user namespace, or PR_SET_NO_NEW_PRIVS. Of several filters the strictest answer
 * counts. Returns the listener's descriptor (closed on exec) where one was asked for; only one filter can have one.
 */
export function installFilter(program: Buffer, { listener = false }: InstallOptions = {}): number | undefined {
  const flags = listener ? FLAG_NEW_LISTENER : 0;
  try {
    // Without this flag, kernels before 5.16 slow a filtered process down against Spectre, as no container has it.
    return answer(setSeccompFilter(program, flags | FLAG_SPEC_ALLOW), listener);
  } catch (error) {
    if (systemErrorCode(error) !== 'EINVAL') throw error;
    return answer(setSeccompFilter(program, flags), listener);
  }
}

const answer = (value: number, isListener: boolean): number | undefined => (isListener ? value : undefined);
