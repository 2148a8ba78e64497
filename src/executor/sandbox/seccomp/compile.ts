import { type Architecture, type ArchitectureName, getArchitecture, X32_BIT } from './architecture.ts';
import { and, branch, type Code, encode, jump, load, result } from './bpf.ts';
import type { ArgumentTest, RuleConditions, SeccompAction, SeccompProfile, SeccompRule } from './profile.ts';

/** What a program is for. */
export interface SeccompTarget {
  readonly architecture: ArchitectureName;
  /** Those of the bounding set, without CAP_. */
  readonly capabilities: readonly string[];
  /** As of uname(2). */
  readonly kernel: string;
}

/** Offsets in struct seccomp_data of linux/seccomp.h. */
const NUMBER = 0;
const ARCH = 4;
const ARGUMENTS = 16;

const ENOSYS = 38;
const NOT_IMPLEMENTED: SeccompAction = { kind: 'errno', errno: ENOSYS };
const WRONG_ARCHITECTURE: SeccompAction = { kind: 'kill-process' };

/** Of linux/seccomp.h */
function encodeAction(action: SeccompAction): number {
  switch (action.kind) {
    case 'kill-process':
      return 0x80000000;
    case 'kill-thread':
      return 0;
    case 'trap':
      return 0x00030000;
    case 'errno':
      return 0x00050000 | action.errno;
    case 'notify':
      return 0x7fc00000;
    case 'trace':
      return 0x7ff00000 | action.message;
    case 'log':
      return 0x7ffc0000;
    case 'allow':
      return 0x7fff0000;
    default:
      return action satisfies never;
  }
}

/**
 * The program of a profile, as struct sock_filter[]. A call of an architecture that the profile does not have kills the process.
 * Numbers above the last that a rule names fail with ENOSYS where the profile refuses by default, so that a C library falls
 * back to older calls (as runc does); so does every call of the x32 ABI. Throws `RangeError` where it is too long.
 */
export function compileProfile(profile: SeccompProfile, target: SeccompTarget): Buffer {
  const rules = rulesFor(profile, target);
  const names = [target.architecture, ...(profile.subArchitectures[target.architecture] ?? [])];
  const start: Code = [result(encodeAction(WRONG_ARCHITECTURE))];
  const blocks = names.map(getArchitecture).reduce((no, architecture) => {
    const yes = [load(NUMBER), ...select(rangesOf(profile, rules, architecture))];
    return branch('eq', architecture.audit, { yes, no });
  }, start);
  return encode([load(ARCH), ...blocks]);
}

/** The rules whose conditions are met. */
export const rulesFor = (profile: SeccompProfile, target: SeccompTarget): readonly SeccompRule[] =>
  profile.rules.filter((rule) => isMet(rule, target));

function isMet({ includes = {}, excludes = {} }: SeccompRule, target: SeccompTarget): boolean {
  const architecture = target.architecture === 'x86_64' ? 'amd64' : 'arm64';
  const isExcluded =
    excludes.architectures?.includes(architecture) ||
    excludes.capabilities?.some((name) => target.capabilities.includes(name)) ||
    (excludes.minKernel !== undefined && isAtLeast(target.kernel, excludes.minKernel));
  return !isExcluded && hasAll(includes, architecture, target);
}

function hasAll(
  { architectures = [], capabilities = [], minKernel }: RuleConditions,
  own: string,
  target: SeccompTarget,
) {
  return (
    (architectures.length === 0 || architectures.includes(own)) &&
    capabilities.every((name) => target.capabilities.includes(name)) &&
    (minKernel === undefined || isAtLeast(target.kernel, minKernel))
  );
}

function isAtLeast(kernel: string, wanted: string): boolean {
  const [major = 0, minor = 0] = kernel.split(/\D/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** The calls from `first` on, up to the next range. */
interface Range {
  readonly first: number;
  readonly code: Code;
}

function rangesOf(
  profile: SeccompProfile,
  rules: readonly SeccompRule[],
  architecture: Architecture,
): readonly Range[] {
  const byNumber = new Map<number, SeccompRule[]>();
  for (const rule of rules) {
    for (const name of rule.names) {
      const number = architecture.numbers.get(name);
      if (number !== undefined) byNumber.set(number, [...(byNumber.get(number) ?? []), rule]);
    }
  }
  const byDefault = [result(encodeAction(profile.defaultAction))];
  const numbers = [...byNumber.keys()].sort((a, b) => a - b);
  const ranges: Range[] = [{ first: 0, code: byDefault }];
  for (const number of numbers) {
    ranges.push({ first: number, code: decide(byNumber.get(number) ?? [], profile.defaultAction) });
    ranges.push({ first: number + 1, code: byDefault });
  }
  const missing = [result(encodeAction(NOT_IMPLEMENTED))];
  if (profile.defaultAction.kind === 'errno') ranges.push({ first: (numbers.at(-1) ?? -1) + 1, code: missing });
  if (architecture.name === 'x86_64') ranges.push({ first: X32_BIT, code: missing });
  return merge(ranges);
}

/** Of ranges that begin at the same number the last counts. */
function merge(ranges: readonly Range[]): readonly Range[] {
  const merged: Range[] = [];
  for (const range of ranges) {
    if (merged.at(-1)?.first === range.first) merged.pop();
    const before = merged.at(-1);
    if (before === undefined || JSON.stringify(before.code) !== JSON.stringify(range.code)) merged.push(range);
  }
  return merged;
}

/** A search tree: a filter runs before every system call of a step. */
function select(ranges: readonly Range[]): Code {
  const [first] = ranges;
  if (first === undefined || ranges.length === 1) return first?.code ?? [];
  const middle = ranges.length >> 1;
  const right = ranges.slice(middle);
  return branch('ge', right[0]?.first ?? 0, { yes: select(right), no: select(ranges.slice(0, middle)) });
}

function decide(rules: readonly SeccompRule[], otherwise: SeccompAction): Code {
  const code: Code[] = [];
  for (const { tests = [], action } of rules) {
    const end = [result(encodeAction(action))];
    if (tests.length === 0) return [...code.flat(), ...end];
    code.push(...alternatives(tests).map((all) => all.reduceRight<Code>((rest, test) => check(test, rest), end)));
  }
  return [...code.flat(), result(encodeAction(otherwise))];
}

/** libseccomp cannot test one argument twice in a rule; runc makes a rule of each test then, and Docker's profiles rely on it. */
function alternatives(tests: readonly ArgumentTest[]): readonly (readonly ArgumentTest[])[] {
  const indexes = new Set(tests.map(({ index }) => index));
  return indexes.size === tests.length ? [tests] : tests.map((test) => [test]);
}

/** Goes on with `rest`, or behind it where the test fails. */
function check({ index, comparison, value, mask = 0n }: ArgumentTest, rest: Code): Code {
  const low = Number(value & 0xffffffffn);
  const high = Number(value >> 32n);
  const offset = ARGUMENTS + 8 * index;
  const fail = rest.length;
  const [loadHigh, loadLow] = [load(offset + 4), load(offset)];
  switch (comparison) {
    case 'eq':
      return [loadHigh, jump('eq', high, { no: fail + 2 }), loadLow, jump('eq', low, { no: fail }), ...rest];
    case 'ne':
      return [loadHigh, jump('eq', high, { no: 2 }), loadLow, jump('eq', low, { yes: fail }), ...rest];
    case 'masked-eq': {
      const [lowMask, highMask] = [and(Number(mask & 0xffffffffn)), and(Number(mask >> 32n))];
      const first = [loadHigh, highMask, jump('eq', high, { no: fail + 3 })];
      return [...first, loadLow, lowMask, jump('eq', low, { no: fail }), ...rest];
    }
    case 'gt':
    case 'ge': {
      const first = [loadHigh, jump('gt', high, { yes: 3 }), jump('eq', high, { no: fail + 2 })];
      return [...first, loadLow, jump(comparison, low, { no: fail }), ...rest];
    }
    case 'lt':
    case 'le': {
      const first = [loadHigh, jump('gt', high, { yes: fail + 3 }), jump('eq', high, { no: 2 })];
      return [...first, loadLow, jump(comparison === 'lt' ? 'ge' : 'gt', low, { yes: fail }), ...rest];
    }
    default:
      return comparison satisfies never;
  }
}
