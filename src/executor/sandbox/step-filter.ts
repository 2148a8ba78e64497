import { release } from 'node:os';
import { BuildError } from '../../errors.ts';
import { DEFAULT_CAPABILITIES } from './capability-names.ts';
import { compileProfile, DEFAULT_PROFILE, isSeccompActionKnown, lookupNative } from './seccomp/index.ts';
import type { SandboxSettings } from './settings.ts';

const SECCOMP_RET_ERRNO = 0x00050000;

/** Why steps cannot have a filter here; undefined: they can. */
export function seccompRefusal(): string | undefined {
  if (lookupNative() === undefined) return `there is no table of system calls for ${process.arch}`;
  return isSeccompActionKnown(SECCOMP_RET_ERRNO) ? undefined : 'the kernel has no seccomp filters';
}

const programs = new WeakMap<object, Buffer>();
const byCapabilities = new Map<string, Buffer>();

/**
 * The filter of a step, compiled once for each profile and set of capabilities; undefined where it has none: `unconfined`, or
 * by default on a machine without filters. Throws `E_USAGE` for a profile that is too long, `E_SANDBOX` for one that cannot be used here.
 */
export function stepFilter({ seccomp, capabilities = DEFAULT_CAPABILITIES }: SandboxSettings = {}): Buffer | undefined {
  if (seccomp === 'unconfined') return undefined;
  const refusal = seccompRefusal();
  const architecture = lookupNative();
  if (refusal !== undefined || architecture === undefined) {
    if (seccomp === undefined) return undefined;
    throw new BuildError('E_SANDBOX', `Cannot use a seccomp profile: ${refusal}`, {
      hint: 'Leave out --security-opt seccomp=FILE, or build on another machine',
    });
  }
  const profile = seccomp ?? DEFAULT_PROFILE;
  const known = seccomp === undefined ? byCapabilities.get(capabilities.join()) : programs.get(profile);
  if (known) return known;
  const program = compile(profile, { architecture, capabilities, kernel: release() });
  if (seccomp === undefined) byCapabilities.set(capabilities.join(), program);
  else programs.set(profile, program);
  return program;
}

function compile(...[profile, target]: Parameters<typeof compileProfile>): Buffer {
  try {
    return compileProfile(profile, target);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new BuildError('E_USAGE', `The seccomp profile is too long: ${cause.message}`, {
      hint: 'Write rules with fewer tests of arguments',
      cause,
    });
  }
}
