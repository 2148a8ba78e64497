import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ArgumentTest,
  compileProfile,
  type SeccompProfile,
  type SeccompRule,
  type SeccompTarget,
} from '../../../../src/executor/sandbox/seccomp/index.ts';
import { AUDIT, answerOf } from './interpreter.ts';

const here: SeccompTarget = { architecture: 'x86_64', capabilities: ['CHOWN'], kernel: '6.1.0-9-amd64' };
const [READ, WRITE, OPEN, CLOSE, SOCKET] = [0, 1, 2, 3, 41];

const profile = (...rules: readonly SeccompRule[]): SeccompProfile => ({
  defaultAction: { kind: 'errno', errno: 1 },
  subArchitectures: { x86_64: ['x86'], aarch64: ['arm'] },
  rules,
});
const allow = { kind: 'allow' } as const;

function answer(number: number, args: readonly bigint[], ...rules: readonly SeccompRule[]): string {
  return answerOf(compileProfile(profile(...rules), here), { number, audit: AUDIT.x86_64, args });
}

describe('A compiled filter', () => {
  const rules = [{ names: ['read', 'open', 'socket'], action: allow }];

  it('lets through what a rule allows, and refuses the rest by default', () => {
    expect([READ, WRITE, OPEN, CLOSE].map((number) => answer(number, [], ...rules))).toEqual([
      'allow',
      'errno 1',
      'allow',
      'errno 1',
    ]);
  });

  it('says of calls newer than any that it names that they do not exist', () => {
    expect(answer(SOCKET + 1, [], ...rules)).toBe('errno 38');
    expect(answer(470, [], ...rules)).toBe('errno 38');
  });

  it('knows the numbers of the other architectures of a machine', () => {
    const program = compileProfile(profile(...rules), here);
    expect(answerOf(program, { number: 3, audit: AUDIT.x86 })).toBe('allow'); // read
    expect(answerOf(program, { number: 0, audit: AUDIT.x86 })).toBe('errno 1'); // restart_syscall
    const arm = compileProfile(profile(...rules), { ...here, architecture: 'aarch64' });
    expect(answerOf(arm, { number: 63, audit: AUDIT.aarch64 })).toBe('allow'); // read
    expect(answerOf(arm, { number: 3, audit: AUDIT.arm })).toBe('allow'); // read
  });

  it('kills a process that calls as an architecture without rules', () => {
    const program = compileProfile(profile(...rules), here);
    expect(answerOf(program, { number: 63, audit: AUDIT.aarch64 })).toBe('kill process');
  });

  it('has no x32 calls', () => {
    const program = compileProfile({ ...profile(...rules), defaultAction: allow }, here);
    expect(answerOf(program, { number: 0x40000000 | READ, audit: AUDIT.x86_64 })).toBe('errno 38');
  });

  it('takes the first rule that a call meets', () => {
    const refuse = { kind: 'errno', errno: 13 } as const;
    const vsock: readonly ArgumentTest[] = [{ index: 0, comparison: 'masked-eq', mask: 0xffffffffn, value: 40n }];
    const both = [
      { names: ['socket'], action: refuse, tests: vsock },
      { names: ['socket'], action: allow },
    ];
    expect(answer(SOCKET, [40n], ...both)).toBe('errno 13');
    expect(answer(SOCKET, [(1n << 32n) | 40n], ...both)).toBe('errno 13');
    expect(answer(SOCKET, [2n], ...both)).toBe('allow');
  });

  it('leaves out rules for other capabilities, kernels and architectures', () => {
    const met = (rule: Partial<SeccompRule>) => answer(READ, [], { names: ['read', 'open'], action: allow, ...rule });
    expect(met({ includes: { capabilities: ['CHOWN'] } })).toBe('allow');
    expect(met({ includes: { capabilities: ['CHOWN', 'SYS_ADMIN'] } })).toBe('errno 38');
    expect(met({ excludes: { capabilities: ['CHOWN'] } })).toBe('errno 38');
    expect(met({ includes: { minKernel: '4.8' } })).toBe('allow');
    expect(met({ includes: { minKernel: '6.10' } })).toBe('errno 38');
    expect(met({ includes: { architectures: ['amd64', 'x32'] } })).toBe('allow');
    expect(met({ includes: { architectures: ['arm64'] } })).toBe('errno 38');
  });

  it('makes alternatives of two tests of one argument, as runc does', () => {
    const tests = [8n, 9n].map((value) => ({ index: 0, comparison: 'eq', value }) as const);
    const rule = { names: ['personality'], action: allow, tests };
    expect([7n, 8n, 9n].map((value) => answer(135, [value], rule))).toEqual(['errno 1', 'allow', 'allow']);
  });
});

describe('A compiled filter of any rules', () => {
  const word = fc.oneof(fc.bigInt({ min: 0n, max: 3n }), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }));
  const value = fc.oneof(
    word,
    word.map((low) => (low << 32n) & ((1n << 64n) - 1n)),
  );
  const comparison = fc.constantFrom('eq', 'ne', 'lt', 'le', 'gt', 'ge', 'masked-eq' as const);
  const test = fc.record({ index: fc.integer({ min: 0, max: 5 }), comparison, value, mask: value });
  const action = fc.oneof(
    fc.constant(allow),
    fc.integer({ min: 2, max: 9 }).map((errno) => ({ kind: 'errno', errno }) as const),
  );
  const names = fc.uniqueArray(fc.constantFrom('read', 'write', 'open', 'close', 'clone3', 'listns'), { minLength: 1 });
  const rule = fc.record({
    names,
    action,
    tests: fc.uniqueArray(test, { maxLength: 4, selector: ({ index }) => index }),
  });
  const numbers: Readonly<Record<string, number>> = { read: 0, write: 1, open: 2, close: 3, clone3: 435, listns: 470 };

  it('decides as the rules say', () => {
    const calls = fc.record({
      name: fc.constantFrom(...Object.keys(numbers)),
      args: fc.array(value, { minLength: 6, maxLength: 6 }),
    });
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 12 }), fc.array(calls, { minLength: 1, maxLength: 8 }), (rules, all) => {
        const last: SeccompRule = { names: ['listns'], action: allow };
        const program = compileProfile(profile(...rules, last), here);
        for (const { name, args } of all) {
          const first = [...rules, last].find(
            (one) =>
              one.names.some((known) => known === name) &&
              (one.tests ?? []).every((single) => holds(single, args[single.index] ?? 0n)),
          );
          const expected =
            first === undefined ? 'errno 1' : first.action.kind === 'errno' ? `errno ${first.action.errno}` : 'allow';
          expect(answerOf(program, { number: numbers[name] ?? -1, audit: AUDIT.x86_64, args })).toBe(expected);
        }
      }),
    );
  });
});

function holds({ comparison, value, mask = 0n }: ArgumentTest, argument: bigint): boolean {
  switch (comparison) {
    case 'eq':
      return argument === value;
    case 'ne':
      return argument !== value;
    case 'lt':
      return argument < value;
    case 'le':
      return argument <= value;
    case 'gt':
      return argument > value;
    case 'ge':
      return argument >= value;
    case 'masked-eq':
      return (argument & mask) === value;
    default:
      return comparison satisfies never;
  }
}
