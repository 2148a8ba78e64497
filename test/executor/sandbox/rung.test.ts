import { describe, expect, it } from 'vitest';
import { BuildError } from '../../../src/errors.ts';
import { type Attempts, climb, describeDescent } from '../../../src/executor/sandbox/rung.ts';

const maps = { uids: [], gids: [], writer: 'self' } as const;
const failure = new BuildError('E_NO_USERNS', 'Cannot create a user namespace: seccomp', { hint: 'Allow it' });
const denied = { proc: 'none', reason: 'seccomp', fix: 'Allow it', failure } as const;
const covered = { proc: 'container', reason: 'parts of /proc are covered', fix: 'Uncover them' } as const;

const machine = (changes: Partial<{ [Name in keyof Attempts]: Awaited<ReturnType<Attempts[Name]>> }>): Attempts => ({
  ids: () => changes.ids ?? { kind: 'a', maps, refused: [] },
  namespace: async () => changes.namespace ?? { proc: 'own' },
  chroot: async () => changes.chroot ?? {},
});

const letters = async (attempts: Attempts) => {
  const { chosen, refused } = await climb(attempts);
  return [chosen?.letter, ...refused.map(({ letter }) => letter)];
};

describe('the ladder', () => {
  it('is climbed from the top: root on a host and a user with sub-ids have their first rung', async () => {
    expect(await letters(machine({}))).toEqual(['a']);
    expect(describeDescent(await climb(machine({})))).toBeUndefined();
    const ids = { kind: 'b', maps, refused: [{ letter: 'a', reason: 'this user is not root' }] } as const;
    expect(await letters(machine({ ids }))).toEqual(['b', 'a']);
    expect(describeDescent(await climb(machine({ ids })))).toBeUndefined();
  });

  it("uses the container's /proc where a new one cannot be mounted, and says so in one line", async () => {
    const ladder = await climb(machine({ namespace: covered }));
    expect(ladder.chosen).toMatchObject({ letter: 'e', proc: 'container' });
    expect(describeDescent(ladder)).toBe(
      "Sandbox on rung e: in namespaces, with the container's /proc; a step sees the container's processes; rung a is not possible: parts of /proc are covered (tsbuild info says more)",
    );
  });

  it('is chroot for root where namespaces are denied; every higher rung has its reason and fix', async () => {
    const ladder = await climb(machine({ namespace: denied }));
    expect(ladder.chosen).toEqual({ letter: 'd', isolation: 'chroot' });
    expect(ladder.refused).toEqual([
      { letter: 'a', reason: 'seccomp', fix: 'Allow it' },
      { letter: 'e', reason: 'seccomp', fix: 'Allow it' },
    ]);
  });

  it('has no rung for a user without namespaces, nor for root who may not chroot: the cause is thrown', async () => {
    const ids = { kind: 'b', maps, refused: [] } as const;
    const user = await climb(machine({ ids, namespace: denied }));
    expect([user.chosen, user.failure]).toEqual([undefined, failure]);
    const chroot = { refusal: { reason: 'chroot and mknod are refused', fix: 'Give it' } };
    const root = await climb(machine({ namespace: denied, chroot }));
    expect([root.chosen, root.failure]).toEqual([undefined, failure]);
    expect(root.refused.at(-1)).toEqual({ letter: 'd', ...chroot.refusal });
  });
});
