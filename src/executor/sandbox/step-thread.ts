import { spawn } from 'node:child_process';
import { BuildError, systemErrorCode } from '../../errors.ts';
import { lastCapability, limitCapabilities } from './capabilities.ts';
import { type Init, startInit } from './init.ts';
import { lookupProgram } from './program.ts';
import type { Recorder } from './recorded/index.ts';
import { buildRootfs, enterRootfs } from './rootfs.ts';
import type { ExitStatus, ProcessSpec } from './sandbox.ts';
import type { StepOrder, StepReport } from './step-order.ts';
import {
  becomeUser,
  bringLoopbackUp,
  CLONE,
  chdir,
  forbidNewPrivileges,
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
    isolate(order.spec);
    init = await startInit();
    report({ kind: 'init', pid: init.pid });
    await init.ready;
    const last = lastCapability();
    report({ kind: 'built', stubs: buildRootfs(order) });
    enterRootfs();
    limitCapabilities(last, order.spec.settings?.capabilities);
    if (order.spec.settings?.noNewPrivileges) forbidNewPrivileges();
    await recorder?.begin(init.pid, order.spec);
    const status = await execute(order);
    await recorder?.end();
    report({ kind: 'ended', status });
  } catch (error) {
    report(describe(error));
    await recorder?.end().catch(() => undefined); // the first error says more
    init?.release();
  }
  await init?.gone;
  report({ kind: 'gone' });
}

function isolate({ network, hostname }: ProcessSpec): void {
  const own = CLONE.fs | CLONE.mount | CLONE.pid | CLONE.ipc | CLONE.uts;
  unshare(network === 'none' ? own | CLONE.net : own);
  umask(0o022);
  mount({ source: 'none', target: '/', flags: MS.recursive | MS.private });
  sethostname(hostname);
  if (network === 'none') bringLoopbackUp();
}

function execute({ spec, stdout, stderr, owners }: StepOrder): Promise<ExitStatus> {
  const notStarted = (reason: string): ExitStatus => ({ kind: 'not-started', reason });
  if (owners === 'real') becomeUser(spec);
  try {
    chdir(spec.cwd);
  } catch (error) {
    return Promise.resolve(notStarted(`cannot enter the working directory "${spec.cwd}": ${systemErrorCode(error)}`));
  }
  const [name = '', ...args] = spec.argv;
  const program = lookupProgram(name, spec.env);
  if ('reason' in program) return Promise.resolve(notStarted(program.reason));
  limitProcess(spec.settings?.ulimits ?? []);
  return new Promise((resolve) => {
    // `detached` is setsid(2). Working directory, user, groups and umask are those of this thread.
    const options = { argv0: name, env: { ...spec.env }, detached: true };
    const child = spawn(program.path, args, { ...options, stdio: ['ignore', stdout, stderr] });
    child.once('error', (error) => resolve(notStarted(`"${name}": ${error.message} (126)`)));
    child.once('exit', (code, signal) =>
      resolve(signal === null ? { kind: 'exited', code: code ?? 1 } : { kind: 'signaled', signal }),
    );
  });
}

function describe(error: unknown): StepReport {
  if (error instanceof BuildError)
    return { kind: 'failed', code: error.code, message: error.message, hint: error.hint, fields: error.fields };
  const reason = error instanceof Error ? error.message : String(error);
  const isDenied = ['EPERM', 'EACCES'].includes(systemErrorCode(error) ?? '');
  const hint = 'Run "tsbuild info": it says what this machine allows';
  return {
    kind: 'failed',
    code: isDenied ? 'E_MOUNT_DENIED' : 'E_SANDBOX',
    message: `Cannot set up the sandbox: ${reason}`,
    hint,
  };
}
