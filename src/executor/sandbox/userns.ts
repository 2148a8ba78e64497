import type { Worker } from 'node:worker_threads';
import { BuildError } from '../../errors.ts';
import { endThread, type Mount, type Owners, startThread } from '../../layers/index.ts';
import { limitOption, StepCgroup } from './cgroup.ts';
import { hostsFile, stepResolvConf } from './host-files.ts';
import { type Network, type NetworkMode, NetworkPool, type NetworkWish } from './network/index.ts';
import type { OciRuntime } from './oci/runtime.ts';
import { probeNamespace } from './probe.ts';
import { ProcessStreams } from './process-streams.ts';
import type { Availability, ExitStatus, ProcessSpec, Sandbox, SandboxIo, SandboxResult } from './sandbox.ts';
import { HOST_GATEWAY, type SandboxSettings } from './settings.ts';
import { stepFilter } from './step-filter.ts';
import { type StepHost, StepProcess, StepServerThread, StepThread } from './step-host.ts';
import { SERVER, type StepOrder, type StepReport } from './step-order.ts';
import { canLaunchSteps } from './step-processes.ts';
import { removeStubs, type Stubs } from './stubs.ts';
import { closeAllOnExec, dieWithParent, forbidCores, limitOpenFiles } from './syscalls.ts';

/** What containers have by default (containerd, buildah). */
const MAX_OPEN_FILES = 1_048_576;

export interface BuiltinSandboxOptions {
  /** The bundled `worker.ts`; default: `sandbox-worker.cjs` beside the bundle. */
  readonly worker?: URL | undefined;
  /** Of the steps; see `procInNamespace`. Default: `own`. */
  readonly proc?: 'own' | 'container' | undefined;
  /** Absent: `real`. */
  readonly owners?: Owners | undefined;
  /** What the network `default` is, where it works; default: host. */
  readonly network?: 'host' | 'private' | undefined;
  /** PATH, for the helpers of private networks. */
  readonly path?: string | undefined;
  /** What runs the steps instead, if anything. */
  readonly runtime?: OciRuntime | undefined;
}

/** Which network most of the steps to come will ask for. */
export interface ExpectedNetwork {
  readonly mode: NetworkMode;
  readonly settings?: SandboxSettings | undefined;
}

/**
 * Runs steps in namespaces of their own, without any other program than, on some rungs, the host's `sh` and `mount`. To be used inside
 * `enterNamespace` only. One thread starts all steps where it can leave them again; otherwise each has a thread for itself. A spare
 * one is kept ready, because starting it takes 40 ms.
 */
export class BuiltinSandbox implements Sandbox, Disposable {
  readonly name: string;
  readonly #entry: URL;
  readonly #runtime: OciRuntime | undefined;
  readonly #proc: 'own' | 'container';
  readonly #owners: Owners;
  readonly #networks: NetworkPool;
  /** Whether one thread may run many steps: it would have to record owners by itself, and an OCI runtime looks at its own process. */
  readonly #hasServers: boolean;
  /** With a network of their own, and with the host's. */
  readonly #servers = new Map<boolean, StepServerThread>();
  #spare: Worker | undefined;
  /** Steps that are still to come; undefined: nobody said. */
  #expected: number | undefined;

  constructor(options: BuiltinSandboxOptions = {}) {
    this.#networks = new NetworkPool({ preferred: options.network, path: options.path });
    this.#entry = options.worker ?? new URL('./sandbox-worker.cjs', import.meta.url);
    this.#proc = options.proc ?? 'own';
    this.#runtime = options.runtime;
    this.name = options.runtime === undefined ? 'builtin' : 'oci';
    this.#owners = options.owners ?? 'real';
    this.#hasServers = this.#owners === 'real' && this.#runtime === undefined && canLaunchSteps();
  }

  /** Says how many steps will be run, most of them in which network, and makes ready what the first one needs. */
  expect(steps: number, network?: ExpectedNetwork): void {
    this.#expected = steps;
    this.#keepSpare();
    if (steps === 0 || network === undefined) return;
    closeAllOnExec();
    this.#networks.prepare(networkWish(network.mode, network.settings));
  }

  probe(): Promise<Availability> {
    return Promise.resolve(probeNamespace());
  }

  async run(spec: ProcessSpec, root: Mount, io: SandboxIo, signal: AbortSignal): Promise<SandboxResult> {
    if (signal.aborted) throw cancelled();
    dieWithParent();
    closeAllOnExec();
    limitOpenFiles(MAX_OPEN_FILES);
    forbidCores();
    const filter = stepFilter(spec.settings);
    const network = await this.#takeNetwork(spec);
    try {
      return await this.#runIn(network, { spec, root, io, signal, filter });
    } finally {
      await network.close();
    }
  }

  async #runIn(network: Network, { spec, root, io, signal, filter }: StepRequest): Promise<SandboxResult> {
    const group = groupOf(spec);
    await using bundle = await this.#runtime?.createBundle(spec);
    const streams = new ProcessStreams(io, this.#owners === 'real' ? spec : undefined);
    const { hosts, resolver } = spec.settings ?? {};
    const files = {
      resolvConf: stepResolvConf(resolver, network),
      hosts: hostsFile(spec.hostname, hosts ?? [], network),
    };
    const place = { hasOwnNetwork: network.kind !== 'host', networkNamespace: network.namespace };
    const order: StepOrder = {
      spec,
      root,
      filter,
      proc: this.#proc,
      owners: this.#owners,
      bundle: bundle?.bundle,
      ...files,
      ...streams.order,
      ...place,
    };
    const host = this.#hostFor(order, io);
    const step = new StepControl(host, streams, signal);
    try {
      if (host instanceof StepProcess) group?.add(host.pid);
      const outcome = await step.run(order);
      if (!isSuccess(outcome.status)) refuseFailedNetwork(network);
      return { status: outcome.status, stubs: outcome.stubs.mounted };
    } finally {
      if (!step.isStarted) await host.stop();
      await streams.close();
      removeStubs(root, step.stubs.created);
      await group?.remove();
    }
  }

  #takeNetwork({ network, settings }: ProcessSpec): Promise<Network> {
    const isLast = this.#expected === undefined || this.#expected <= 1;
    return this.#networks.take(networkWish(network, settings), isLast);
  }

  [Symbol.dispose](): void {
    void this.#networks.close();
    if (this.#spare !== undefined) void endThread(this.#spare);
    this.#spare = undefined;
    for (const server of this.#servers.values()) server.terminate();
    this.#servers.clear();
  }

  #hostFor(order: StepOrder, { interaction }: SandboxIo): StepHost {
    if (this.#expected !== undefined) this.#expected--;
    const { ulimits = [], seccomp, limits = {} } = order.spec.settings ?? {};
    // Somebody's own profile may kill whatever calls what Node calls: then it is not this process that dies.
    const isForeign = seccomp !== undefined && seccomp !== 'unconfined';
    const isLimited = ulimits.length > 0 || limitOption(limits) !== undefined;
    if (isForeign || isLimited) return new StepProcess(this.#entry, order);
    if (this.#hasServers && interaction === undefined) return this.#serverFor(order.hasOwnNetwork).createHost();
    const host = new StepThread(this.#hasServers ? this.#startWorker() : this.#takeSpare());
    if (!this.#hasServers) this.#keepSpare();
    return host;
  }

  #serverFor(hasOwnNetwork: boolean): StepServerThread {
    const known = this.#servers.get(hasOwnNetwork);
    if (known !== undefined && !known.hasEnded) return known;
    const server = new StepServerThread(this.#takeSpare());
    this.#servers.set(hasOwnNetwork, server);
    return server;
  }

  #takeSpare(): Worker {
    const worker = this.#spare ?? this.#startWorker(this.#role);
    worker.ref();
    this.#spare = undefined;
    return worker;
  }

  #keepSpare(): void {
    if (this.#expected !== undefined && this.#expected < 1) return;
    this.#spare ??= this.#startWorker(this.#role);
    this.#spare.unref();
  }

  /** What the spare thread is for. */
  get #role(): string | undefined {
    return this.#hasServers ? SERVER : undefined;
  }

  #startWorker(role?: string): Worker {
    const worker = startThread(this.#entry, { env: {}, stdin: false, trackUnmanagedFds: false, workerData: { role } });
    // one that fails before it is taken is nobody's failure; the step it serves listens for itself
    worker.on('error', () => {});
    worker.once('exit', () => {
      if (this.#spare === worker) this.#spare = undefined;
    });
    return worker;
  }
}

function groupOf({ settings }: ProcessSpec): StepCgroup | undefined {
  const limits = settings?.limits;
  return limits === undefined || limitOption(limits) === undefined ? undefined : new StepCgroup(limits);
}

const networkWish = (mode: NetworkMode, { networkHelper, hosts = [] }: SandboxSettings = {}): NetworkWish => ({
  mode,
  helper: networkHelper,
  reachesHost: hosts.some(({ address }) => address === HOST_GATEWAY),
});

interface StepRequest {
  readonly spec: ProcessSpec;
  readonly root: Mount;
  readonly io: SandboxIo;
  readonly signal: AbortSignal;
  readonly filter: Uint8Array | undefined;
}

const isSuccess = (status: ExitStatus): boolean => status.kind === 'exited' && status.code === 0;

/** The step would be blamed for what it could not help. */
function refuseFailedNetwork(network: Network): void {
  const reason = network.failure();
  if (reason === undefined) return;
  throw new BuildError('E_NO_NETWORK', `The private network ended while a step ran: ${network.kind}: ${reason}`, {
    hint: 'Build again; if it stays so, use --network=host',
  });
}

const cancelled = () => new BuildError('E_CANCELLED', 'Cancelled while a step was running');

interface StepOutcome {
  readonly status: ExitStatus;
  readonly stubs: Stubs;
}

/** Follows one step: kills the step's PID 1 when the step has ended or is to be cancelled, and waits for the end. */
class StepControl {
  stubs: Stubs = { mounted: [], created: [] };
  isStarted = false;
  readonly #host: StepHost;
  readonly #streams: ProcessStreams;
  readonly #signal: AbortSignal;
  #init: number | undefined;
  #status: ExitStatus | undefined;
  #failure: BuildError | undefined;

  constructor(host: StepHost, streams: ProcessStreams, signal: AbortSignal) {
    this.#host = host;
    this.#streams = streams;
    this.#signal = signal;
  }

  async run(order: StepOrder): Promise<StepOutcome> {
    this.isStarted = true;
    const kill = () => this.#kill();
    this.#signal.addEventListener('abort', kill);
    try {
      await new Promise<void>((resolve) => {
        this.#host.start(order, {
          onReport: (report) => this.#take(report),
          onFailure: (cause) => {
            this.#failure = new BuildError('E_INTERNAL', 'The thread of the sandbox failed', { cause });
          },
          onEnd: resolve,
        });
      });
    } finally {
      this.#signal.removeEventListener('abort', kill);
    }
    if (this.#signal.aborted) throw cancelled();
    if (this.#failure) throw this.#failure;
    if (!this.#status)
      throw new BuildError('E_SANDBOX', 'The sandbox ended before the step did', {
        hint: 'If you gave it --security-opt seccomp=FILE, the profile may refuse what starting a program needs',
      });
    return { status: this.#status, stubs: this.stubs };
  }

  #take(report: StepReport): void {
    switch (report.kind) {
      case 'init':
        this.#init = report.pid;
        if (this.#signal.aborted) this.#kill();
        return;
      case 'built':
        this.stubs = report.stubs;
        return;
      case 'started':
        this.#streams.started(report, this.#init ?? 0);
        return;
      case 'ended':
        this.#status = report.status;
        this.#kill();
        return;
      case 'failed':
        this.#failure = new BuildError(report.code, report.message, { hint: report.hint, fields: report.fields });
        this.#kill();
        return;
      case 'gone':
        this.#init = undefined;
        return;
      default:
        report satisfies never;
    }
  }

  /** The thread cannot do it: it may have become another user. */
  #kill(): void {
    if (this.#init === undefined) return;
    try {
      process.kill(this.#init, 'SIGKILL');
    } catch {
      // ESRCH: it has ended by itself, which is what we want.
    }
    this.#init = undefined;
  }
}
