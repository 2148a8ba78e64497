/**
 * The sandbox: runs one process in one root, seeing nothing else of the host. Owns the user namespace that the whole build
 * runs in (`enterNamespace`), the built-in sandbox over Linux namespaces (`BuiltinSandbox`, one thread a step, entry
 * `worker.ts`), mounting a root for reading (`mountView`), and finding out what a machine allows (`probeHost`).
 * `syscalls.ts` is the only file here that calls the C library. Nothing here knows about instructions or layers' contents.
 */

export { type CapabilityChanges, capabilitySet } from './capability-names.ts';
export { limitRefusal, type ResourceLimits } from './cgroup.ts';
export {
  askedOwners,
  enterNamespace,
  isInsideNamespace,
  type NamespaceOptions,
  ownersOf,
  procInNamespace,
  type SelfCommand,
  SIDE_FD,
} from './namespace.ts';
export { type HostFinding, overlayRefusal, overlayWorks, probeHost } from './probe.ts';
export { climbFor, describeDescent, type NamespaceRung, type Rung } from './rung.ts';
export type {
  Availability,
  ExitStatus,
  FileOwner,
  ProcessMount,
  ProcessSpec,
  Sandbox,
  SandboxIo,
  SandboxResult,
} from './sandbox.ts';
export { parseProfile, type SeccompProfile } from './seccomp/index.ts';
export type { HostEntry, ResolverSettings, SandboxSettings, Ulimit } from './settings.ts';
export { dieWithParent, tryLock } from './syscalls.ts';
export { BuiltinSandbox, type BuiltinSandboxOptions } from './userns.ts';
export { type MountedView, mountView } from './view.ts';
