import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { dirname } from 'node:path';
import { BuildError } from '../../errors.ts';
import type { Mount } from '../../layers/index.ts';
import { hideFromTracers } from './chroot-calls.ts';
import { type DeviceDirectory, makeDevices, makeDirectories, placesOf, refused } from './chroot-places.ts';
import type { ChrootOrder } from './chroot-step.ts';
import { endOf } from './forked.ts';
import { Placements } from './placements.ts';
import { attemptChroot } from './rung-attempts.ts';
import type { Availability, ExitStatus, ProcessSpec, Sandbox, SandboxIo, SandboxResult } from './sandbox.ts';
import type { StepReport } from './step-order.ts';
import { closeAllOnExec } from './syscalls.ts';

export interface ChrootSandboxOptions {
  /** The bundled `worker.ts`; default: `sandbox-worker.cjs` beside the bundle. */
  readonly worker?: URL | undefined;
}

/**
 * Rung d: root in a container that has no namespaces to give. A step is chrooted into a directory of its own, with its user and
 * capabilities; what would be mounted is put into the directory and taken out again. It shares everything else with the
 * container: processes, network, host name. Takes roots of the `directory` snapshotter only.
 */
export class ChrootSandbox implements Sandbox {
  readonly name = 'chroot';
  readonly #entry: URL;

  constructor(options: ChrootSandboxOptions = {}) {
    this.#entry = options.worker ?? new URL('./sandbox-worker.cjs', import.meta.url);
  }

  async probe(): Promise<Availability> {
    const { refusal } = await attemptChroot();
    if (refusal === undefined) return { ok: true, detail: 'chroot' };
    return { ok: false, reason: refusal.reason, hint: refusal.fix ?? '' };
  }

  async run(spec: ProcessSpec, root: Mount, io: SandboxIo, signal: AbortSignal): Promise<SandboxResult> {
    if (signal.aborted) throw cancelled();
    if (root.type !== 'bind') throw new BuildError('E_INTERNAL', 'A step without namespaces got a root to mount');
    refuse(spec);
    closeAllOnExec();
    hideFromTracers();
    makeDirectories(root.source, spec);
    const stash = `${dirname(root.source)}/places`;
    const places = new Placements(root.source, stash);
    try {
      const devices = makeDevices(stash, spec);
      const outputs = openOutputs(devices, io);
      places.put({ target: '/dev', source: devices.path });
      let status: ExitStatus;
      try {
        for (const place of placesOf(spec, stash)) put(places, place);
        const order = { isolation: 'chroot', root: root.source, spec, ...outputs.ends } as const;
        status = await this.#execute(order, signal);
      } finally {
        await outputs.close();
      }
      return { status, stubs: places.paths };
    } finally {
      places.takeOut();
    }
  }

  /** Ends when nothing of the step is left. */
  async #execute(order: ChrootOrder, signal: AbortSignal): Promise<ExitStatus> {
    const child = fork(this.#entry, {
      env: {},
      execArgv: [],
      serialization: 'advanced',
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', order.stdout, order.stderr, 'ipc'],
    });
    // it kills all that the step has started, and ends
    const abort = (): void => void (child.connected && child.disconnect());
    signal.addEventListener('abort', abort);
    try {
      const { spec, root, isolation } = order;
      child.send({ isolation, root, spec: { ...spec, mounts: [], files: [] }, stdout: 3, stderr: 4 });
      const last = await lastReport(child);
      if (signal.aborted) throw cancelled();
      if (last?.kind === 'ended') return last.status;
      if (last?.kind === 'failed')
        throw new BuildError(last.code, last.message, { hint: last.hint, fields: last.fields });
      throw new BuildError('E_SANDBOX', 'The sandbox ended before the step did', {
        hint: 'A step on rung d can end any process of its container: see what it kills',
      });
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
}

const cancelled = () => new BuildError('E_CANCELLED', 'Cancelled while a step was running');

/** What cannot be had without namespaces, and would change what a step does. */
function refuse({ network, settings = {} }: ProcessSpec): void {
  if (network === 'none') throw refused('run a step without a network (--network none)');
  if (network === 'private' || network === 'own') throw refused('run a step in a private network (--network private)');
  const { seccomp, noNewPrivileges, shmSizeBytes, hostname } = settings;
  if (typeof seccomp === 'object' && !noNewPrivileges) throw refused('use a seccomp profile');
  if (shmSizeBytes !== undefined) throw refused('set --shm-size');
  if (hostname !== undefined) throw refused('set --hostname');
}

function put(places: Placements, place: Parameters<Placements['put']>[0]): void {
  const { target } = place;
  try {
    places.put(place);
  } catch (cause) {
    if (!(cause instanceof BuildError)) throw cause;
    throw new BuildError(cause.code, `Cannot mount at "${target}": ${cause.message}`, {
      hint: cause.hint,
      fields: { target },
      cause,
    });
  }
}

interface Outputs {
  readonly ends: { readonly stdout: number; readonly stderr: number };
  /** Waits until nobody holds them any more. */
  close(): Promise<void>;
}

function openOutputs({ stdout, stderr }: DeviceDirectory, io: SandboxIo): Outputs {
  const finished = [readAll(stdout, 'stdout', io), readAll(stderr, 'stderr', io)];
  const ends = { stdout: openSync(stdout, constants.O_WRONLY), stderr: openSync(stderr, constants.O_WRONLY) };
  return {
    ends,
    close: async () => {
      for (const fd of Object.values(ends)) closeSync(fd);
      await Promise.all(finished);
    },
  };
}

function readAll(path: string, stream: 'stdout' | 'stderr', { onOutput }: SandboxIo): Promise<void> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return new Promise((resolve, reject) => {
    const socket = new Socket({ fd, readable: true, writable: false });
    socket.on('data', (chunk: Buffer) => onOutput(stream, chunk));
    socket.once('error', reject);
    socket.once('close', () => resolve());
  });
}

/** What the process said of the step, once it has ended. */
function lastReport(child: ChildProcess): Promise<StepReport | undefined> {
  return new Promise((resolve, reject) => {
    let last: StepReport | undefined;
    child.on('message', (message) => {
      const report = message as StepReport; // sent by `superviseStep`
      if (report.kind === 'ended' || report.kind === 'failed') last = report;
    });
    child.once('error', reject);
    void endOf(child).then(() => resolve(last));
  });
}
