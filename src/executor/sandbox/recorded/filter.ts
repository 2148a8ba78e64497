import { release } from 'node:os';
import { compileProfile, lookupNative, type SeccompProfile, type SeccompRule } from '../seccomp/index.ts';

import { RLIMIT_LOCKS } from './tickets.ts';

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

/** Of getrlimit(2) only RLIMIT_LOCKS matters: see `tickets.ts`. */
const whenLimiting = Object.entries({ setrlimit: 0, getrlimit: 0, prlimit64: 1 }).map(([name, index]): SeccompRule => {
  return { names: [name], action: NOTIFY, tests: [{ index, comparison: 'eq', value: BigInt(RLIMIT_LOCKS) }] };
});

/** PR_SET_KEEPCAPS and PR_SET_SECUREBITS of linux/prctl.h: the rest of prctl(2) has nothing to do with users. */
const whenKeeping = [8n, 28n].map((value): SeccompRule => {
  return { names: ['prctl'], action: NOTIFY, tests: [{ index: 0, comparison: 'eq', value }] };
});

const TESTED = [...whenCreating, ...whenKeeping, ...whenLimiting];

/** What goes around the calls that are asked about; without them C libraries use the older ones. */
const AROUND = ['setxattrat', 'getxattrat', 'listxattrat', 'removexattrat', 'io_uring_setup', 'io_uring_enter'];

/** Asks the supervisor about these calls; everything else goes its way. A program for another architecture is not asked about. */
export function recordingFilter(names: readonly string[]): Buffer | undefined {
  const architecture = lookupNative();
  if (architecture === undefined) return undefined;
  const tested = new Set(TESTED.flatMap((rule) => rule.names));
  const always = names.filter((name) => !tested.has(name));
  const profile: SeccompProfile = {
    defaultAction: { kind: 'allow' },
    subArchitectures: { x86_64: ['x86'], aarch64: ['arm'] },
    rules: [...TESTED, { names: always, action: NOTIFY }, { names: AROUND, action: { kind: 'errno', errno: ENOSYS } }],
  };
  return compileProfile(profile, { architecture, capabilities: [], kernel: release() });
}
