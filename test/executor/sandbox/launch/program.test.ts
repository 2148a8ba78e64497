import { spawnSync } from 'node:child_process';
import { closeSync, existsSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import {
  assemble,
  type Call,
  callOf,
  FAILURE,
  lookupMachine,
  openProgram,
  REPORT_BYTES,
  REPORT_FD,
  report,
} from '../../../../src/executor/sandbox/launch/index.ts';
import { getArchitecture, lookupNative } from '../../../../src/executor/sandbox/seccomp/index.ts';
import { requires } from '../../../support/requires.ts';

const native = lookupNative();
const machine = lookupMachine();
const canRun = requires('code for this processor', native !== undefined && machine !== undefined);

function run(calls: readonly Call[]) {
  if (native === undefined || machine === undefined) throw new Error('there is no code for this processor');
  const file = openProgram(assemble(calls, getArchitecture(native).numbers, machine));
  try {
    const stdio = ['ignore', 'pipe', 'inherit', 'pipe'] as const;
    const { status, stdout, output } = spawnSync(`/proc/self/fd/${file}`, [], { stdio: [...stdio], env: {} });
    return { status, stdout: stdout.toString(), reports: output[REPORT_FD] ?? Buffer.alloc(0) };
  } finally {
    closeSync(file);
  }
}

const say = (text: string): Call => ({ name: 'write', args: [1, text, text.length] });
const exit = (status: number): Call => ({ name: 'exit_group', args: [status] });

describe.runIf(canRun)('a program of system calls', () => {
  it('makes one after the other', () => {
    expect(run([say('one '), say('two'), exit(7)])).toMatchObject({ status: 7, stdout: 'one two' });
  });

  it('reports the call that failed, with its error, and makes no other', () => {
    const calls = [say('before'), { name: 'chdir', args: ['/no/such/place'] }, say('after'), exit(0)];
    const { status, stdout, reports } = run(calls);
    expect({ status, stdout, size: reports.length }).toEqual({ status: 127, stdout: 'before', size: REPORT_BYTES });
    expect(Number(reports.readBigUInt64LE(0))).toBe(FAILURE);
    expect(reports.readBigInt64LE(8)).toBe(BigInt(-constants.errno.ENOENT));
    expect(callOf(calls, reports.readBigUInt64LE(16))).toBe(calls[1]);
  });

  it('goes on elsewhere after an error, and after a zero', () => {
    const calls: readonly Call[] = [
      { name: 'chdir', args: ['/no/such/place'], onError: 'second' },
      say('not this'),
      { name: 'chdir', args: ['/'], label: 'second', onZero: 'third' },
      say('nor this'),
      { ...say('this'), label: 'third' },
      exit(0),
    ];
    expect(run(calls)).toMatchObject({ status: 0, stdout: 'this' });
  });

  it('keeps results where other calls find them: of a child, its number and how it ended', () => {
    const started = report(1);
    const ended = report(2);
    const { reports } = run([
      { name: 'clone', args: [constants.signals.SIGCHLD], onZero: 'child', result: { bytes: started, offset: 8 } },
      { name: 'wait4', args: [-1, { bytes: ended, offset: 16 }], result: { bytes: ended, offset: 8 } },
      { name: 'write', args: [REPORT_FD, started, REPORT_BYTES] },
      { name: 'write', args: [REPORT_FD, ended, REPORT_BYTES] },
      exit(0),
      { ...exit(5), label: 'child' },
    ]);
    const words = [0, 8, 16, 24, 32, 40].map((offset) => Number(reports.readBigUInt64LE(offset)));
    const [, pid] = words;
    expect(pid).toBeGreaterThan(1);
    expect(words).toEqual([1, pid, 0, 2, pid, 5 << 8]);
  });

  it('starts another program with its arguments and variables', () => {
    const words = { words: ['sh', '-c', 'echo "$0 $1 $A"', 'zero', 'one two', 0] };
    expect(existsSync('/bin/sh')).toBe(true);
    expect(run([{ name: 'execve', args: ['/bin/sh', words, { words: ['A=b', 0] }] }]).stdout).toBe('zero one two b\n');
  });
});

describe('assembling', () => {
  it('refuses a call that this processor does not have', () => {
    if (machine === undefined) return;
    expect(() => assemble([{ name: 'nonsense' }], new Map([['write', 1]]), machine)).toThrow('nonsense');
  });

  it('has code for x64 and arm64 only', () => {
    expect(['x64', 'arm64', 'riscv64', 'ia32'].map((arch) => lookupMachine(arch) !== undefined)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});
