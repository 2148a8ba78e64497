import { expect, it } from 'vitest';
import { capabilitySet } from '../../../src/executor/index.ts';

const set = (add: readonly string[], drop: readonly string[]) => capabilitySet({ add, drop });

it('takes names with or without CAP_, in any case', () => {
  expect(set(['cap_sys_ptrace', 'NET_ADMIN'], [])).toEqual(
    expect.arrayContaining(['SYS_PTRACE', 'NET_ADMIN', 'CHOWN']),
  );
});

it('leaves what is added by --cap-drop ALL, and what is not dropped by --cap-add ALL', () => {
  expect(set(['CHOWN', 'KILL'], ['ALL'])).toEqual(['CHOWN', 'KILL']);
  expect(set([], ['ALL'])).toEqual([]);
  const all = set(['ALL'], ['SYS_ADMIN']);
  expect(all).toHaveLength(40);
  expect(all).not.toContain('SYS_ADMIN');
});

it('is the default where nothing changes: keys stay what they were', () => {
  expect(set([], [])).toBeUndefined();
  expect(set(['MKNOD'], [])).toBeUndefined();
  expect(set([], ['SYS_ADMIN'])).toBeUndefined();
});

it('refuses what is no capability, and a contradiction', () => {
  expect(() => set(['FLY'], [])).toThrow('--cap-add "FLY" is no capability');
  expect(() => set(['SYS_ADMN'], [])).toThrow(expect.objectContaining({ hint: 'Did you mean "SYS_ADMIN"?' }));
  expect(() => set(['CHOWN'], ['cap_chown'])).toThrow('both added and dropped');
});
