import { describe, expect, it } from 'vitest';
import { compileProfile, parseProfile } from '../../../../src/executor/sandbox/seccomp/index.ts';
import { AUDIT, answerOf } from './interpreter.ts';

const sample = {
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: 13,
  archMap: [
    { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
    { architecture: 'SCMP_ARCH_S390X', subArchitectures: null },
  ],
  syscalls: [
    { names: ['read', 'riscv_flush_icache', 'listns'], action: 'SCMP_ACT_ALLOW' },
    { names: ['write'], action: 'SCMP_ACT_ERRNO', errnoRet: 5, excludes: { caps: ['CAP_SYS_ADMIN'] } },
    {
      names: ['clone'],
      action: 'SCMP_ACT_ALLOW',
      args: [{ index: 0, value: 2114060288, op: 'SCMP_CMP_MASKED_EQ' }],
    },
    { names: ['kill'], action: 'SCMP_ACT_KILL_PROCESS' },
  ],
};

function answer(number: number, ...args: readonly bigint[]): string {
  const target = { architecture: 'x86_64', capabilities: [], kernel: '6.1.0' } as const;
  return answerOf(compileProfile(parseProfile(JSON.stringify(sample)), target), { number, audit: AUDIT.x86_64, args });
}

describe("A profile in Docker's format", () => {
  it('means what it says', () => {
    const CLONE_NEWUSER = 0x10000000n;
    expect(answer(0)).toBe('allow');
    expect(answer(1)).toBe('errno 5');
    expect(answer(2)).toBe('errno 13');
    expect(answer(56, 0x11n)).toBe('allow');
    expect(answer(56, CLONE_NEWUSER | 0x11n)).toBe('errno 13');
    expect(answer(62)).toBe('kill process');
  });

  const refused: readonly (readonly [string, object, string])[] = [
    ['an action that nobody has', { defaultAction: 'SCMP_ACT_NO' }, 'defaultAction is "SCMP_ACT_NO"'],
    ['a listener of its own', { listenerPath: '/x' }, 'has "listenerPath"'],
    ['a key that it does not know', { syscalls: [{ nmaes: [] }] }, 'syscalls[0] has "nmaes"'],
    [
      'a refused call that does not exist',
      { syscalls: [{ names: ['raed'], action: 'SCMP_ACT_ERRNO' }] },
      'syscalls[0] names "raed"',
    ],
    ['numbers that JSON cannot hold', { defaultErrnoRet: 2 ** 60 }, 'defaultErrnoRet is not'],
    [
      'a seventh argument',
      { syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW', args: [{ index: 6, op: 'SCMP_CMP_EQ' }] }] },
      'sixth',
    ],
  ];
  it.each(refused)('is refused with %s', (_, changes, message) => {
    expect(() => parseProfile(JSON.stringify({ ...sample, ...changes }))).toThrow(message);
  });

  it('is refused if it is no JSON', () => {
    expect(() => parseProfile('{')).toThrow('The seccomp profile is not JSON');
  });
});
