import { BuildError, hintForOpenFiles, systemErrorCode } from '../../errors.ts';
import { dropCapabilities, lastCapability, limitCapabilities } from './capabilities.ts';
import { type Init, startInit } from './init.ts';
import { runBundle } from './oci/run-bundle.ts';
import { runProgram, type StartedProgram, type StepStreams } from './process-start.ts';
import { lookupProgram } from './program.ts';
import type { Recorder } from './recorded/index.ts';
import { buildRootfs, enterRootfs, moveRootfs } from './rootfs.ts';
import type { ExitStatus } from './sandbox.ts';
import { installFilter } from './seccomp/index.ts';
import type { StepOrder, StepReport } from './step-order.ts';
import {
  becomeUser,
  bringLoopbackUp,
  CLONE,
  chdir,
  forbidNewPrivileges,
  joinNetwork,
  joinSessionKeyring,
  MS,
  mount,
  sethostname,
  umask,
  unshare,
} from './syscalls.ts';
import { limitProcess } from './ulimits.ts';

type Report = (message: StepReport) => void;

/**
 * Runs one step in the calling thread, which is not usable for anything else afterwards: it has its own namespaces, root,
 * bounding set and user. No asynchronous fs call may happen here: a pool thread would be started from within the new pid
 * namespace, which the kernel refuses, and would see another root.
 */
export async function runStep(order: StepOrder, report: Report, recorder?: Recorder): Promise<void> {
  let init: Init | undefined;
  try {
    await recorder?.ready;
    unshare(CLONE.fs | CLONE.pid);
    isolate(order);
    init = await startInit(order.proc);
    report({ kind: 'init', pid: init.pid });
    await init.ready;
    const last = lastCapability();
    report({ kind: 'built', stubs: buildRootfs(order) });
    if (order.bundle) {
      moveRootfs(order.bundle);
      report({ kind: 'ended', status: await runBundle(order, order.bundle) });
    } else report({ kind: 'ended', status: await runHere(order, { last, init: init.pid, recorder, report }) });
  } catch (error) {
    report(describe(error));
    await recorder?.end().catch(() => undefined); // the first error says more
    init?.release();
  }
  await init?.gone;
  report({ kind: 'gone' });
}

interface StepRun {
  readonly last: number;
  readonly init: number;
  readonly recorder: Recorder | undefined;
  readonly report: Report;
}

async function runHere(order: StepOrder, { last, init, recorder, report }: StepRun): Promise<ExitStatus> {
  enterRootfs();
  limitCapabilities(last, order.spec.settings?.capabilities);
  ownKeyring(order);
  if (order.spec.settings?.noNewPrivileges) forbidNewPrivileges();
  await recorder?.begin(init, order.spec);
  // while the thread still has CAP_SYS_ADMIN; from here on it may call what the filter allows, and so may what it starts
  if (order.filter !== undefined) installFilter(Buffer.from(order.filter));
  const status = await execute(order, last, (started) => report({ kind: 'started', ...started }));
  await recorder?.end();
  return status;
}

/** Gives the calling thread namespaces of its own, but for the one of process ids. */
export function isolate({ spec, bundle, hasOwnNetwork, networkNamespace }: StepOrder): void {
  const own = CLONE.mount | CLONE.ipc | CLONE.uts;
  if (networkNamespace !== undefined) joinNetwork(networkNamespace);
  unshare(hasOwnNetwork && networkNamespace === undefined ? own | CLONE.net : own);
  if (!bundle) unshareCgroups(); // a runtime looks for its own group in the host's tree
  umask(0o022);
  mount({ source: 'none', target: '/', flags: MS.recursive | MS.private });
  sethostname(spec.hostname);
  if (hasOwnNetwork) bringLoopbackUp();
}

/** Paths of /proc/self/cgroup begin at the build's own. */
function unshareCgroups(): void {
  try {
    unshare(CLONE.cgroup);
  } catch (error) {
    if (systemErrorCode(error) !== 'EINVAL') throw error; // a kernel without cgroups
  }
}

/** Keys of the user's session are not for the step. With a filter, it can reach no key anyway. */
export function ownKeyring({ filter }: Pick<StepOrder, 'filter'>): void {
  try {
    joinSessionKeyring();
  } catch (error) {
    // a kernel without keys, a container that refuses them, or a user who has too many
    const isHarmless = ['ENOSYS', 'EPERM', 'EACCES'].includes(systemErrorCode(error) ?? '');
    if (!isHarmless && filter === undefined) throw error;
  }
}

/** Becomes the step's user and starts its program, in the root and with the bounding set of the calling thread. */
export function execute(
  { spec, owners, ...streams }: Pick<StepOrder, 'spec' | 'owners'> & StepStreams,
  last: number,
  onStarted: (started: StartedProgram) => void,
): Promise<ExitStatus> {
  const notStarted = (reason: string): ExitStatus => ({ kind: 'not-started', reason });
  // a recorded user is still root, and so are its programs
  if (owners === 'real') becomeUser(spec);
  // any other user has lost them all
  if (owners === 'recorded' || spec.uid === 0) dropCapabilities(last, spec.settings?.capabilities);
  try {
    chdir(spec.cwd);
  } catch (error) {
    return Promise.resolve(notStarted(`cannot enter the working directory "${spec.cwd}": ${systemErrorCode(error)}`));
  }
  const program = lookupProgram(spec.argv[0] ?? '', spec.env);
  if ('reason' in program) return Promise.resolve(notStarted(program.reason));
  limitProcess(spec.settings?.ulimits ?? []);
  return runProgram({ path: program.path, argv: spec.argv, env: spec.env, streams, onStarted });
}

/** What a step that could not be set up reports. */
export function describe(error: unknown): StepReport {
  if (error instanceof BuildError)
    return { kind: 'failed', code: error.code, message: error.message, hint: error.hint, fields: error.fields };
  const reason = error instanceof Error ? error.message : String(error);
  const code = systemErrorCode(error) ?? '';
  const isDenied = ['EPERM', 'EACCES'].includes(code);
  const hint = hintForOpenFiles(error) ?? 'Run "tsbuild info": it says what this machine allows';
  return {
    kind: 'failed',
    code: isDenied ? 'E_MOUNT_DENIED' : 'E_SANDBOX',
    message: `Cannot set up the sandbox: ${reason}`,
    hint,
  };
}
