import { release } from 'node:os';
import { compileProfile, lookupNative, type SeccompProfile, type SeccompRule } from '../seccomp/index.ts';

const NOTIFY = { kind: 'notify' } as const;
const ENOSYS = 38;
/** O_CREAT, and the bit of O_TMPFILE that is not O_DIRECTORY: what makes no file is not asked about. */
const CREATING = [0o100n, 0o20000000n];
/** Which argument of a call has the flags of open(2). */
const OPENING = { open: 1, openat: 2 } as const;

const whenCreating: readonly SeccompRule[] = Object.entries(OPENING).flatMap(([name, index]) =>
  CREATING.map((bit): SeccompRule => {
    const tests = [{ index, comparison: 'masked-eq', value: bit, mask: bit } as const];
    return { names: [name], action: NOTIFY, tests };
  }),
);

/** PR_SET_KEEPCAPS and PR_SET_SECUREBITS of linux/prctl.h: the rest of prctl(2) has nothing to do with users. */
const whenKeeping = [8n, 28n].map((value): SeccompRule => {
  return { names: ['prctl'], action: NOTIFY, tests: [{ index: 0, comparison: 'eq', value }] };
});

/** What goes around the calls that are asked about; without them C libraries use the older ones. */
const AROUND = ['setxattrat', 'getxattrat', 'listxattrat', 'removexattrat', 'io_uring_setup', 'io_uring_enter'];

/** Asks the supervisor about these calls; everything else goes its way. A program for another architecture is not asked about. */
export function recordingFilter(names: readonly string[]): Buffer | undefined {
  const architecture = lookupNative();
  if (architecture === undefined) return undefined;
  const always = names.filter((name) => !(name in OPENING) && name !== 'prctl');
  const profile: SeccompProfile = {
    defaultAction: { kind: 'allow' },
    subArchitectures: { x86_64: ['x86'], aarch64: ['arm'] },
    rules: [
      ...whenCreating,
      ...whenKeeping,
      { names: always, action: NOTIFY },
      { names: AROUND, action: { kind: 'errno', errno: ENOSYS } },
    ],
  };
  return compileProfile(profile, { architecture, capabilities: [], kernel: release() });
}
