import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterExec,
  credentialsOf,
  type Ids,
  KEEP,
  mayAccess,
  mayGive,
  sameIds,
  setFilesystem,
  setId,
  setRealEffective,
  setThree,
  withUsers,
} from '../../../../src/executor/sandbox/recorded/credentials.ts';

const root = sameIds(0);
const user: Ids = sameIds(1000);
const setuid: Ids = { real: 1000, effective: 0, saved: 0, filesystem: 0 };
const some = fc.constantFrom(0, 5, 1000, 1001);
const ids = fc.record({ real: some, effective: some, saved: some, filesystem: some });

describe('the ids of a process', () => {
  it('change all together for who is privileged (setuid(2))', () => {
    expect(setId(root, 7, true)).toEqual(sameIds(7));
    expect(setId(user, 0, false)).toBeUndefined();
    expect(setId({ ...user, saved: 5 }, 5, false)).toEqual({ real: 1000, effective: 5, saved: 5, filesystem: 5 });
  });

  it('go to and fro between real and effective (setreuid(2))', () => {
    expect(setRealEffective(root, { real: KEEP, effective: 1000 }, true)).toEqual({
      real: 0,
      effective: 1000,
      saved: 1000,
      filesystem: 1000,
    });
    expect(setRealEffective(setuid, { real: 0, effective: 1000 }, false)).toEqual({
      real: 0,
      effective: 1000,
      saved: 1000,
      filesystem: 1000,
    });
    expect(setRealEffective(user, { real: 5, effective: KEEP }, false)).toBeUndefined();
  });

  it('never become what an unprivileged process does not have already', () => {
    fc.assert(
      fc.property(ids, some, some, some, (from, a, b, c) => {
        const had = new Set([from.real, from.effective, from.saved, from.filesystem]);
        const results = [
          setId(from, a, false),
          setRealEffective(from, { real: a, effective: b }, false),
          setThree(from, { real: a, effective: b, saved: c }, false),
          setFilesystem(from, a, false),
        ];
        for (const result of results) for (const id of Object.values(result ?? {})) expect(had.has(id)).toBe(true);
      }),
    );
  });

  it('stay where an argument says so (setresuid(2))', () => {
    expect(setThree(user, { real: KEEP, effective: KEEP, saved: KEEP }, false)).toEqual(user);
    expect(setThree(setuid, { real: 1000, effective: 1000, saved: 1000 }, false)).toEqual(user);
  });

  it('of a setuid program are those of its owner, and saved', () => {
    const who = credentialsOf(1000, 100, [100]);
    expect(afterExec(who, { uid: 0 })).toMatchObject({ uid: { real: 1000, effective: 0, saved: 0 }, capable: true });
    expect(afterExec(who, {})).toEqual(who);
  });
});

describe('capabilities', () => {
  const who = credentialsOf(0, 0, []);

  it('go with the user 0, and come back with it', () => {
    const away = withUsers(who, { ...root, effective: 1000, filesystem: 1000 });
    expect(away.capable).toBe(false);
    expect(withUsers(away, root).capable).toBe(true);
  });

  it('stay for who asked to keep them, until another program runs', () => {
    const kept = withUsers({ ...who, keepsCapabilities: true }, user);
    expect(kept.capable).toBe(true);
    expect(afterExec(kept, {}).capable).toBe(false);
  });
});

describe('what somebody may do with a file', () => {
  const who = credentialsOf(1000, 100, [50]);

  it.each([
    [{ uid: 1000, gid: 0, mode: 0o400 }, 4, true],
    [{ uid: 1000, gid: 0, mode: 0o077 }, 4, false],
    [{ uid: 0, gid: 100, mode: 0o620 }, 2, true],
    [{ uid: 0, gid: 50, mode: 0o060 }, 6, true],
    [{ uid: 0, gid: 0, mode: 0o755 }, 2, false],
    [{ uid: 0, gid: 0, mode: 0o757 }, 7, true],
  ])('is a matter of class: %j %i', (file, wanted, expected) => {
    expect(mayAccess(who, file, wanted)).toBe(expected);
    expect(mayAccess(credentialsOf(0, 0, []), file, wanted)).toBe(true);
  });

  it('is to give it to an own group, and nothing else', () => {
    const mine = { uid: 1000, gid: 100 };
    expect(mayGive(who, mine, { uid: KEEP, gid: 50 })).toBe(true);
    expect(mayGive(who, mine, { uid: 1000, gid: KEEP })).toBe(true);
    expect(mayGive(who, mine, { uid: 0, gid: KEEP })).toBe(false);
    expect(mayGive(who, mine, { uid: KEEP, gid: 0 })).toBe(false);
    expect(mayGive(who, { uid: 0, gid: 0 }, { uid: KEEP, gid: 50 })).toBe(false);
  });
});
