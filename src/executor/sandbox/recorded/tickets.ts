import type { Credentials } from './credentials.ts';
import { AT, type Kernel } from './raw.ts';

/** asm-generic/resource.h: without any effect since Linux 2.4.25, but every process has it, over fork(2) and execve(2). */
export const RLIMIT_LOCKS = 10;
/** Tickets are larger than any limit that somebody means. */
const FIRST_TICKET = 1n << 62n;
const LAST_TICKET = FIRST_TICKET + 0xffff_ffffn;

/**
 * Which credentials a process has: the number of them is its soft limit RLIMIT_LOCKS, which the kernel hands on to every child
 * and program and forgets with the process. So nothing has to be told of a fork, and no number of a process is ever mistaken.
 */
export class Tickets {
  readonly #kernel: Kernel;
  readonly #known: Credentials[];
  readonly #numbers = new Map<string, number>();

  /** `initial`: of every process that has no ticket. */
  constructor(kernel: Kernel, initial: Credentials) {
    this.#kernel = kernel;
    this.#known = [initial];
    this.#numbers.set(JSON.stringify(initial), 0);
  }

  of(pid: number): Credentials {
    const [initial] = this.#known;
    const index = this.#known.length > 1 ? this.#read(pid) : 0;
    const found = this.#known[index] ?? initial;
    if (!found) throw new RangeError('there are no credentials');
    return found;
  }

  /** Throws `Errno`: EPERM where a step has lowered that limit for good. */
  give(pid: number, credentials: Credentials): void {
    const key = JSON.stringify(credentials);
    const index = this.#numbers.get(key) ?? this.#known.push(credentials) - 1;
    this.#numbers.set(key, index);
    if (this.#known.length === 1) return;
    this.#read(pid);
    const { bytes, base } = this.#kernel;
    bytes.writeBigUInt64LE(FIRST_TICKET + BigInt(index), AT.limitNew);
    bytes.copy(bytes, AT.limitNew + 8, AT.limitOld + 8, AT.limitOld + 16); // the hard limit stays
    this.#kernel.call('prlimit64', pid, RLIMIT_LOCKS, base + AT.limitNew, 0);
  }

  #read(pid: number): number {
    const { bytes, base } = this.#kernel;
    this.#kernel.call('prlimit64', pid, RLIMIT_LOCKS, 0, base + AT.limitOld);
    const soft = bytes.readBigUInt64LE(AT.limitOld);
    return soft < FIRST_TICKET || soft > LAST_TICKET ? 0 : Number(soft - FIRST_TICKET);
  }
}
