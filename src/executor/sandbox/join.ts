import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import { BuildError, systemErrorCode } from '../../errors.ts';
import { endThread, openat2, RESOLVE_IN_ROOT, startThread } from '../../layers/index.ts';
import type { ContainerOrder } from './container-worker.ts';
import type { JoinedProgram, JoinReport } from './join-thread.ts';
import type { ProxiedPort } from './network/port-proxy.ts';
import { forbidInspection } from './process-calls.ts';
import { ProcessStreams } from './process-streams.ts';
import type { ExitStatus, SandboxIo } from './sandbox.ts';
import { stepFilter } from './step-filter.ts';
import { CLONE, closeAllOnExec, dieWithParent } from './syscalls.ts';

/** The mount namespace last: with it the thread sees another /proc. */
const KINDS = [
  ['ipc', CLONE.ipc],
  ['uts', CLONE.uts],
  ['net', CLONE.net],
  ['cgroup', 0x2000000],
  ['pid', CLONE.pid],
  ['mnt', CLONE.mount],
] as const;

const startJoining = (): Worker =>
  startThread(new URL('./container-worker.cjs', import.meta.url), { env: {}, stdin: false, trackUnmanagedFds: false });

/**
 * Runs a program in the container whose PID 1 is `init` here. To be called in the container's user namespace. Throws
 * `E_SANDBOX`. Aborting kills the program.
 */
export async function runInContainer(
  init: number,
  program: JoinedProgram,
  { io, signal }: { readonly io: SandboxIo; readonly signal: AbortSignal },
): Promise<ExitStatus> {
  closeAllOnExec();
  const filter = stepFilter(program.settings);
  const namespaces = openNamespaces(init);
  const streams = new ProcessStreams(io, program);
  dieWithParent();
  forbidInspection();
  const thread = startJoining();
  let pid: number | undefined;
  const kill = () => pid !== undefined && process.kill(pid, 'SIGKILL');
  signal.addEventListener('abort', kill);
  try {
    const order: ContainerOrder = { kind: 'join', namespaces, program, streams: streams.order, filter };
    return await new Promise<ExitStatus>((resolve, reject) => {
      const fail = (cause: unknown) => reject(cannotJoin(cause));
      thread.on('message', (report: JoinReport) => {
        if (report.kind === 'started') {
          pid = report.pid;
          streams.started(report, init);
          if (signal.aborted) kill();
        } else if (report.kind === 'ended') resolve(report.status);
        else fail(new Error(report.reason));
      });
      thread.once('error', fail);
      thread.once('exit', () => fail(new Error('the thread ended')));
      thread.postMessage(order);
    });
  } finally {
    signal.removeEventListener('abort', kill);
    for (const { fd } of namespaces) closeSync(fd);
    // what it has left running in the container may hold its output for ever
    await streams.close(LAST_OUTPUT_MS);
  }
}

const LAST_OUTPUT_MS = 200;

const cannotJoin = (cause: unknown): BuildError =>
  new BuildError('E_SANDBOX', `Cannot join the container: ${cause instanceof Error ? cause.message : cause}`, {
    hint: 'See with "tsbuild ps" whether it still runs',
    cause,
  });

/** Those that are not ours already: what belongs to the host cannot be entered from within a user namespace. */
function openNamespaces(init: number): readonly { readonly fd: number; readonly kind: number }[] {
  try {
    return KINDS.filter(
      ([name]) => readlinkSync(`/proc/${init}/ns/${name}`) !== readlinkSync(`/proc/self/ns/${name}`),
    ).map(([name, kind]) => ({ fd: openSync(`/proc/${init}/ns/${name}`, 'r'), kind }));
  } catch (cause) {
    throw cannotJoin(cause);
  }
}

export interface PortProxy {
  stop(): Promise<void>;
}

/** Serves published ports of the container whose PID 1 is `init`, until `stop`. */
export async function startPortProxy(init: number, ports: readonly ProxiedPort[]): Promise<PortProxy> {
  const network = openSync(`/proc/${init}/ns/net`, 'r');
  const thread = startJoining();
  try {
    await new Promise<void>((resolve, reject) => {
      thread.once('message', () => resolve());
      thread.once('error', (cause) =>
        reject(new BuildError('E_SANDBOX', 'Cannot publish the ports of the container', { cause })),
      );
      thread.postMessage({ kind: 'proxy', network, ports } satisfies ContainerOrder);
    });
  } finally {
    closeSync(network);
  }
  return {
    stop: async () => {
      await endThread(thread);
    },
  };
}

/**
 * A small file of a container that runs, links followed inside its root; undefined where there is none. The container may
 * change it at any time.
 */
export function readContainerFile(init: number, path: string, limitBytes: number): string | undefined {
  const root = openSync(`/proc/${init}/root`, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const file = openat2(root, path, { flags: constants.O_RDONLY | constants.O_NONBLOCK, resolve: RESOLVE_IN_ROOT });
    try {
      if (!fstatSync(file).isFile()) return undefined;
      const bytes = Buffer.alloc(Math.min(fstatSync(file).size, limitBytes));
      return bytes.toString('utf8', 0, readSync(file, bytes));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'ENXIO'].includes(systemErrorCode(error) ?? '')) return undefined;
    throw error;
  } finally {
    closeSync(root);
  }
}
