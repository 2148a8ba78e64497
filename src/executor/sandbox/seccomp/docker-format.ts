import { BuildError } from '../../../errors.ts';
import { type ArchitectureName, isSystemCall } from './architecture.ts';
import type {
  ArgumentTest,
  Comparison,
  RuleConditions,
  SeccompAction,
  SeccompProfile,
  SeccompRule,
} from './profile.ts';

const ARCHITECTURES: Readonly<Record<string, ArchitectureName>> = {
  SCMP_ARCH_X86_64: 'x86_64',
  SCMP_ARCH_X86: 'x86',
  SCMP_ARCH_AARCH64: 'aarch64',
  SCMP_ARCH_ARM: 'arm',
};
const COMPARISONS: Readonly<Record<string, Comparison>> = {
  SCMP_CMP_NE: 'ne',
  SCMP_CMP_LT: 'lt',
  SCMP_CMP_LE: 'le',
  SCMP_CMP_EQ: 'eq',
  SCMP_CMP_GE: 'ge',
  SCMP_CMP_GT: 'gt',
  SCMP_CMP_MASKED_EQ: 'masked-eq',
};
const PROFILE_KEYS = ['$schema', 'comment', 'defaultAction', 'defaultErrnoRet', 'archMap', 'architectures', 'syscalls'];
const RULE_KEYS = ['comment', 'names', 'name', 'action', 'errnoRet', 'args', 'includes', 'excludes'];
const TEST_KEYS = ['index', 'value', 'valueTwo', 'op'];
const CONDITION_KEYS = ['caps', 'arches', 'minKernel'];

const EPERM = 1;

/**
 * Reads a profile in the format of `docker run --security-opt seccomp=FILE` (moby's profiles/seccomp, which is the runtime
 * spec's with conditions). Architectures that no machine of ours has are left out. Throws `E_USAGE` naming the place.
 */
export function parseProfile(text: string): SeccompProfile {
  const root = object(parseJson(text), 'the profile', PROFILE_KEYS);
  const defaultErrno = optionalNumber(root.defaultErrnoRet, 'defaultErrnoRet') ?? EPERM;
  return {
    defaultAction: actionOf(root.defaultAction, defaultErrno, 'defaultAction'),
    subArchitectures: subArchitecturesOf(root),
    rules: list(root.syscalls, 'syscalls').map((entry, index) => ruleOf(entry, defaultErrno, `syscalls[${index}]`)),
  };
}

const wrong = (place: string, what: string): BuildError =>
  new BuildError('E_USAGE', `The seccomp profile is wrong: ${place} ${what}`, {
    hint: 'Write it as for docker run --security-opt seccomp=FILE',
  });

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BuildError('E_USAGE', 'The seccomp profile is not JSON', {
      hint: 'Write it as for docker run --security-opt seccomp=FILE',
      cause,
    });
  }
}

type Fields = Readonly<Record<string, unknown>>;

function object(value: unknown, place: string, keys: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(place, 'is not an object');
  const fields = value as Fields; // checked above
  const strange = Object.keys(fields).find((key) => !keys.includes(key));
  if (strange !== undefined) throw wrong(place, `has "${strange}", which is not supported`);
  return fields;
}

function list(value: unknown, place: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw wrong(place, 'is not a list');
  return value;
}

function texts(value: unknown, place: string): readonly string[] {
  return list(value, place).map((item) => {
    if (typeof item !== 'string') throw wrong(place, 'has something else than names');
    return item;
  });
}

function optionalNumber(value: unknown, place: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw wrong(place, 'is not a whole number below 2^53');
  return value;
}

function actionOf(value: unknown, errno: number, place: string): SeccompAction {
  switch (value) {
    case 'SCMP_ACT_ALLOW':
      return { kind: 'allow' };
    case 'SCMP_ACT_ERRNO':
      return { kind: 'errno', errno: Math.min(errno, 4095) };
    case 'SCMP_ACT_KILL':
    case 'SCMP_ACT_KILL_THREAD':
      return { kind: 'kill-thread' };
    case 'SCMP_ACT_KILL_PROCESS':
      return { kind: 'kill-process' };
    case 'SCMP_ACT_TRAP':
      return { kind: 'trap' };
    case 'SCMP_ACT_LOG':
      return { kind: 'log' };
    case 'SCMP_ACT_TRACE':
      return { kind: 'trace', message: errno & 0xffff };
    default:
      throw wrong(place, `is ${JSON.stringify(value)}, which is not supported`);
  }
}

function ruleOf(value: unknown, defaultErrno: number, place: string): SeccompRule {
  const entry = object(value, place, RULE_KEYS);
  const errno = optionalNumber(entry.errnoRet, `${place}.errnoRet`) ?? defaultErrno;
  const action = actionOf(entry.action, errno, `${place}.action`);
  const names = [...texts(entry.names, `${place}.names`), ...(typeof entry.name === 'string' ? [entry.name] : [])];
  // What is allowed by a name that nobody knows stays refused; what should be refused by it would stay allowed.
  const unknown = action.kind === 'allow' ? undefined : names.find((name) => !isSystemCall(name));
  if (unknown !== undefined) throw wrong(place, `names "${unknown}", which is no known system call`);
  return {
    names,
    action,
    tests: list(entry.args, `${place}.args`).map((test, index) => testOf(test, `${place}.args[${index}]`)),
    includes: conditionsOf(entry.includes, `${place}.includes`),
    excludes: conditionsOf(entry.excludes, `${place}.excludes`),
  };
}

function testOf(value: unknown, place: string): ArgumentTest {
  const entry = object(value, place, TEST_KEYS);
  const index = optionalNumber(entry.index, `${place}.index`) ?? 0;
  const comparison = typeof entry.op === 'string' ? COMPARISONS[entry.op] : undefined;
  if (comparison === undefined) throw wrong(place, `has the comparison ${JSON.stringify(entry.op)}`);
  if (index > 5) throw wrong(place, 'is about an argument after the sixth');
  const first = BigInt(optionalNumber(entry.value, `${place}.value`) ?? 0);
  if (comparison !== 'masked-eq') return { index, comparison, value: first };
  return { index, comparison, mask: first, value: BigInt(optionalNumber(entry.valueTwo, `${place}.valueTwo`) ?? 0) };
}

function conditionsOf(value: unknown, place: string): RuleConditions | undefined {
  if (value === undefined || value === null) return undefined;
  const entry = object(value, place, CONDITION_KEYS);
  if (entry.minKernel !== undefined && !/^\d+\.\d+$/.test(String(entry.minKernel)))
    throw wrong(`${place}.minKernel`, 'is not written as "5.8"');
  return {
    capabilities: texts(entry.caps, `${place}.caps`).map((name) => name.replace(/^CAP_/, '')),
    architectures: texts(entry.arches, `${place}.arches`),
    minKernel: entry.minKernel === undefined ? undefined : String(entry.minKernel),
  };
}

function subArchitecturesOf(root: Fields): SeccompProfile['subArchitectures'] {
  const plain = known(texts(root.architectures, 'architectures'));
  if (plain.length > 0) {
    const others = (own: ArchitectureName) => plain.filter((name) => name !== own);
    return { x86_64: others('x86_64'), aarch64: others('aarch64') };
  }
  const pairs = list(root.archMap, 'archMap').flatMap((item, index) => {
    const entry = object(item, `archMap[${index}]`, ['architecture', 'subArchitectures']);
    const [name] = known([String(entry.architecture)]);
    return name === undefined ? [] : [[name, known(texts(entry.subArchitectures, `archMap[${index}]`))] as const];
  });
  return Object.fromEntries(pairs);
}

const known = (names: readonly string[]): readonly ArchitectureName[] =>
  names.flatMap((name) => ARCHITECTURES[name] ?? []);
