import type { ArchitectureName, ArgumentTest, Comparison } from '../seccomp/index.ts';
import { DEFAULT_PROFILE, lookupNative, rulesFor, type SeccompAction, type SeccompTarget } from '../seccomp/index.ts';
import type { SandboxSettings } from '../settings.ts';

const ARCHITECTURES: Readonly<Record<ArchitectureName, string>> = {
  x86_64: 'SCMP_ARCH_X86_64',
  x86: 'SCMP_ARCH_X86',
  aarch64: 'SCMP_ARCH_AARCH64',
  arm: 'SCMP_ARCH_ARM',
};
const OPERATORS: Readonly<Record<Comparison, string>> = {
  eq: 'SCMP_CMP_EQ',
  ne: 'SCMP_CMP_NE',
  lt: 'SCMP_CMP_LT',
  le: 'SCMP_CMP_LE',
  gt: 'SCMP_CMP_GT',
  ge: 'SCMP_CMP_GE',
  'masked-eq': 'SCMP_CMP_MASKED_EQ',
};

/** `linux.seccomp` of the runtime spec. */
export interface SeccompSection {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number | undefined;
  readonly architectures: readonly string[];
  readonly syscalls: readonly object[];
}

/** The filter of a step as the runtime is to make it; undefined: none. Conditions are decided here. */
export function seccompSection(
  seccomp: SandboxSettings['seccomp'],
  target: Omit<SeccompTarget, 'architecture'>,
): SeccompSection | undefined {
  const architecture = lookupNative();
  if (seccomp === 'unconfined' || architecture === undefined) return undefined;
  const profile = seccomp ?? DEFAULT_PROFILE;
  const { action, errnoRet } = actionOf(profile.defaultAction);
  return {
    defaultAction: action,
    defaultErrnoRet: errnoRet,
    architectures: [architecture, ...(profile.subArchitectures[architecture] ?? [])].map((name) => ARCHITECTURES[name]),
    syscalls: rulesFor(profile, { ...target, architecture }).map((rule) => ({
      names: rule.names,
      ...actionOf(rule.action),
      ...(rule.tests?.length ? { args: rule.tests.map(testOf) } : {}),
    })),
  };
}

/** JSON numbers are exact up to 2^53, which is what a profile's own may have. */
const testOf = ({ index, comparison, value, mask }: ArgumentTest) =>
  comparison === 'masked-eq'
    ? { index, op: OPERATORS[comparison], value: Number(mask ?? 0n), valueTwo: Number(value) }
    : { index, op: OPERATORS[comparison], value: Number(value) };

function actionOf(action: SeccompAction): { readonly action: string; readonly errnoRet?: number } {
  switch (action.kind) {
    case 'errno':
      return { action: 'SCMP_ACT_ERRNO', errnoRet: action.errno };
    case 'trace':
      return { action: 'SCMP_ACT_TRACE', errnoRet: action.message };
    case 'allow':
    case 'log':
    case 'trap':
    case 'notify':
    case 'kill-process':
    case 'kill-thread':
      return { action: `SCMP_ACT_${action.kind.toUpperCase().replace('-', '_')}` };
    default:
      return action satisfies never;
  }
}
