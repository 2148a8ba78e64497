/**
 * Filters of system calls (seccomp): profiles as data (`profile.ts`), Docker's format of them (`parseProfile`), their
 * compiler to classic BPF with our own table of numbers (`compileProfile`; docs/adr/0010), and the call that puts a program
 * before everything a thread does and starts (`installFilter`), also with a listener for the action `notify`.
 * `numbers.ts` is written by scripts/syscall-numbers.mjs.
 */
export { type ArchitectureName, getArchitecture, lookupNative } from './architecture.ts';
export { isSeccompActionKnown } from './calls.ts';
export { compileProfile, rulesFor, type SeccompTarget } from './compile.ts';
export { DEFAULT_PROFILE } from './default-profile.ts';
export { parseProfile } from './docker-format.ts';
export { type InstallOptions, installFilter } from './install.ts';
export type {
  ArgumentTest,
  Comparison,
  RuleConditions,
  SeccompAction,
  SeccompProfile,
  SeccompRule,
} from './profile.ts';
