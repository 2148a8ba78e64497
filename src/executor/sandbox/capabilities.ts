import { readFileSync } from 'node:fs';
import { dropFromBoundingSet } from './syscalls.ts';

/**
 * What Docker leaves to a container: CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW
 * SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP (numbers of linux/capability.h); CapBnd 00000000a80425fb.
 */
const KEPT: ReadonlySet<number> = new Set([0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31]);

/** The last capability that the running kernel knows; read before the root is changed. */
export function lastCapability(): number {
  return Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8'));
}

/** Lowers the bounding set of the calling thread: what it starts can never get more than Docker's default. */
export function limitCapabilities(last: number): void {
  for (let capability = 0; capability <= last; capability++) {
    if (!KEPT.has(capability)) dropFromBoundingSet(capability);
  }
}
