import { describe, expect, it } from 'vitest';
import { parentOf } from '../../../../src/executor/sandbox/recorded/answer-create.ts';
import { recordingFilter } from '../../../../src/executor/sandbox/recorded/filter.ts';
import { Kernel } from '../../../../src/executor/sandbox/recorded/raw.ts';
import { RECORDED_CALLS } from '../../../../src/executor/sandbox/recorded/supervisor.ts';
import { Target } from '../../../../src/executor/sandbox/recorded/target.ts';
import { lookupNative } from '../../../../src/executor/sandbox/seccomp/index.ts';
import { requires } from '../../../support/requires.ts';

describe('the directory of a new file', () => {
  it.each([
    ['/a/b', '/a'],
    ['/a', '/'],
    ['/a//', '/'],
    ['12/cwd/x', '12/cwd'],
    ['12/fd/3/x/y/', '12/fd/3/x'],
    ['x', '.'],
  ])('of %s is %s', (path, parent) => expect(parentOf(Buffer.from(path)).toString()).toBe(parent));
});

const isKnown = requires('system calls of this architecture', lookupNative() !== undefined);

describe.runIf(isKnown)('a path of the step', () => {
  const target = isKnown ? new Target(new Kernel()) : undefined;
  const place = (directory: number, path: string) => target?.place(77, directory, Buffer.from(path)).toString();

  it.each([
    [-100, 'etc/passwd', '77/cwd/etc/passwd'],
    [5, '../x', '77/fd/5/../x'],
    [0xffffff9c, 'x', '77/cwd/x'],
    [5, '/etc/passwd', '/etc/passwd'],
    [-100, '/proc/self/fd/3', '77/fd/3'],
    [-100, '/proc/thread-self/exe', '77/exe'],
    [-100, '/proc/selfish', '/proc/selfish'],
    [-100, '/dev/stdout', '77/fd/1'],
    [-100, '/dev/fd/4', '77/fd/4'],
    [-100, '/dev/fdx', '/dev/fdx'],
  ])('from %i, %s, is %s for the supervisor', (directory, path, expected) => {
    expect(place(directory, path)).toBe(expected);
  });

  it('keeps bytes that are no text', () => {
    const name = Buffer.from([0x2f, 0xff, 0xfe]);
    expect(target?.place(1, -100, name)).toEqual(name);
  });
});

describe.runIf(isKnown)('the filter', () => {
  it('asks about owners, users and new files, in few instructions', () => {
    expect(RECORDED_CALLS).toEqual(expect.arrayContaining(['fchownat', 'statx', 'setresuid', 'openat', 'execve']));
    const program = recordingFilter(RECORDED_CALLS);
    expect(program?.length).toBeGreaterThan(0);
    expect((program?.length ?? 0) / 8).toBeLessThan(1000);
  });
});
