import { expect, test } from 'vitest';
import { parseChmod } from '../../src/graph/chmod.ts';

test.each([
  ['0644', 0o755, false, 0o644],
  ['644', 0o755, true, 0o644],
  ['4755', 0o600, false, 0o4755],
  ['u=rwX,go=rX', 0o600, false, 0o644],
  ['u=rwX,go=rX', 0o700, true, 0o755],
  ['u=rwX,go=rX', 0o700, false, 0o755],
  ['+x', 0o644, false, 0o755],
  ['a-w', 0o666, false, 0o444],
  ['u+s,g+s', 0o755, false, 0o6755],
  ['o=', 0o777, false, 0o770],
  ['g=u', 0o640, false, 0o660],
  ['+t', 0o777, true, 0o1777],
  ['=r', 0o6755, true, 0o6444],
])('--chmod=%s of %o', (spec, mode, isDirectory, expected) => {
  expect(parseChmod(spec)(mode, isDirectory).toString(8)).toBe(expected.toString(8));
});

test.each(['', '8', '77777', 'rwx', 'u', 'z+x', 'u+q', 'u+x,', '0x1ff'])('refuses --chmod="%s"', (spec) => {
  expect(() => parseChmod(spec)).toThrow(/--chmod/);
});
