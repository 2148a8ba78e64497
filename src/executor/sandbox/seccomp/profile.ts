import type { ArchitectureName } from './architecture.ts';

/** What the kernel does with a call (seccomp(2)). */
export type SeccompAction =
  | { readonly kind: 'allow' | 'log' | 'kill-process' | 'kill-thread' | 'trap' }
  /** The call fails with this number. */
  | { readonly kind: 'errno'; readonly errno: number }
  | { readonly kind: 'trace'; readonly message: number }
  /** Whoever holds the listener answers. */
  | { readonly kind: 'notify' };

export type Comparison = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge' | 'masked-eq';

/** About one argument of a call, as 64 bits without sign. */
export interface ArgumentTest {
  /** 0 to 5. */
  readonly index: number;
  readonly comparison: Comparison;
  readonly value: bigint;
  /** Of `masked-eq`: the argument & mask is `value`. */
  readonly mask?: bigint | undefined;
}

/** What decides whether a rule counts at all; what is absent says nothing. */
export interface RuleConditions {
  /** Names as of Go: `amd64`, `arm64`. */
  readonly architectures?: readonly string[] | undefined;
  /** Without CAP_. */
  readonly capabilities?: readonly string[] | undefined;
  /** `4.8` */
  readonly minKernel?: string | undefined;
}

/** A call meets the rule if all tests hold. */
export interface SeccompRule {
  /** Names that an architecture does not have are left out there. */
  readonly names: readonly string[];
  readonly action: SeccompAction;
  readonly tests?: readonly ArgumentTest[] | undefined;
  /** All of them hold. */
  readonly includes?: RuleConditions | undefined;
  /** None of them holds. */
  readonly excludes?: RuleConditions | undefined;
}

/**
 * A filter of system calls, for every machine. Of the rules for a call the first that it meets counts; a call without one has
 * `defaultAction`.
 */
export interface SeccompProfile {
  readonly defaultAction: SeccompAction;
  /** What else a machine of the key's architecture runs; its own is always there. */
  readonly subArchitectures: Readonly<Partial<Record<ArchitectureName, readonly ArchitectureName[]>>>;
  readonly rules: readonly SeccompRule[];
}
