/**
 * The sandbox: runs one process in one root, seeing nothing else of the host. Owns the user namespace that the whole build
 * runs in (`enterNamespace`), the built-in sandbox over Linux namespaces (`BuiltinSandbox`, one thread for all steps, entry
 * `worker.ts`), joining what runs in it (`runInContainer`, `startPortProxy`), mounting a root for reading (`mountView`), and finding out what a machine allows (`probeHost`).
 * `syscalls.ts` and `process-calls.ts` are the only files here that call the C library. Nothing here knows about instructions or layers' contents.
 */

export { type CapabilityChanges, capabilitySet } from './capability-names.ts';
export { limitRefusal, type ResourceLimits } from './cgroup.ts';
export { chooseSandbox, ISOLATIONS, type Isolation, type StepSandbox } from './choose.ts';
export { ChrootSandbox, type ChrootSandboxOptions } from './chroot.ts';
export { type PortProxy, readContainerFile, runInContainer, startPortProxy } from './join.ts';
export { joinNamespace } from './join-namespace.ts';
export type { JoinedProgram } from './join-thread.ts';
export type { NamespaceRung, Rung } from './ladder.ts';
export {
  askedOwners,
  enterNamespace,
  HANDED_FD,
  isInsideNamespace,
  leaveParent,
  type NamespaceOptions,
  ownersOf,
  procInNamespace,
  type SelfCommand,
  SIDE_FD,
} from './namespace.ts';
export {
  isHelper,
  modeOf,
  NETWORK_CHOICES,
  type Network,
  type NetworkChoice,
  type NetworkMode,
  type NetworkWish,
} from './network/index.ts';
export type { ProxiedPort } from './network/port-proxy.ts';
export { type HostFinding, overlayRefusal, overlayWorks, probeHost } from './probe.ts';
export type { TerminalSize } from './process-calls.ts';
export { climbFor, describeDescent } from './rung.ts';
export type {
  Availability,
  ExitStatus,
  FileOwner,
  Interaction,
  ProcessMount,
  ProcessSpec,
  Sandbox,
  SandboxIo,
  SandboxResult,
  StartedProcess,
} from './sandbox.ts';
export { parseProfile, type SeccompProfile } from './seccomp/index.ts';
export type { HostEntry, ResolverSettings, SandboxSettings, Ulimit } from './settings.ts';
export { dieWithParent, tryLock } from './syscalls.ts';
export { BuiltinSandbox, type BuiltinSandboxOptions, type ExpectedNetwork } from './userns.ts';
export { type MountedView, mountView } from './view.ts';
