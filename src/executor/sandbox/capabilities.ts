import { readFileSync } from 'node:fs';
import { DEFAULT_CAPABILITIES, numberOfCapability } from './capability-names.ts';
import { setCapabilities } from './process-calls.ts';
import { dropFromBoundingSet } from './syscalls.ts';

/** The last capability that the running kernel knows; read before the root is changed. */
export function lastCapability(): number {
  return Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8'));
}

/** Lowers the bounding set of the calling thread: what it starts can never get more than `kept`, by default Docker's set. */
export function limitCapabilities(last: number, kept: readonly string[] = DEFAULT_CAPABILITIES): void {
  for (const capability of droppedCapabilities(last, kept)) dropFromBoundingSet(capability);
}

/** The numbers of all others that this kernel knows. */
export function droppedCapabilities(last: number, kept: readonly string[] = DEFAULT_CAPABILITIES): readonly number[] {
  const numbers = new Set(kept.map(numberOfCapability));
  return Array.from({ length: last + 1 }, (_, capability) => capability).filter(
    (capability) => !numbers.has(capability),
  );
}

/**
 * Takes from the calling thread, which is root, what its step shall not have, before anything that the image names is
 * opened: with all capabilities `WORKDIR /proc/1/cwd` and `RUN ["/proc/1/exe"]` would lead into PID 1, which is of the host.
 */
export function dropCapabilities(last: number, kept: readonly string[] = DEFAULT_CAPABILITIES): void {
  const bits = capabilityBits(last, kept);
  setCapabilities({ effective: bits, permitted: bits });
}

/** One bit each, of those that this kernel knows. */
export const capabilityBits = (last: number, kept: readonly string[] = DEFAULT_CAPABILITIES): bigint =>
  kept
    .map(numberOfCapability)
    .filter((capability) => capability <= last)
    .reduce((bits, capability) => bits | (1n << BigInt(capability)), 0n);
