import { constants } from 'node:os';
import { posix } from 'node:path';
import { type Workspace, withWorkspace } from '../assembly.ts';
import { BuildError } from '../errors.ts';
import {
  type ExitStatus,
  HANDED_FD,
  isHelper,
  leaveParent,
  modeOf,
  type PortProxy,
  type ProcessMount,
  type ProcessSpec,
  resolveUser,
  type StartedProcess,
  startPortProxy,
} from '../executor/index.ts';
import type { Digest, Image } from '../oci/index.ts';
import { Containers } from './container-store.ts';
import { LogWriter } from './log.ts';
import { nameFor, newId } from './names.ts';
import type { ProgramResult, RunOptions } from './options.ts';
import { type Program, programOf } from './program.ts';
import type { PublishedPort } from './publish.ts';
import { type ContainerRecord, markOf } from './record.ts';
import { Attached } from './streams.ts';
import { sweepTransient } from './sweep.ts';

interface HandOver {
  readonly manifest: Digest;
  readonly ports: readonly PublishedPort[];
}

interface Holding {
  readonly mounts: readonly ProcessMount[];
  /** See `HandOver`. */
  readonly handOver: string;
}

/**
 * Holds one container from its making to its end, inside the namespace. It is what the container lives by: everything in it
 * ends with this process, however that ends.
 */
export function holdContainer(options: RunOptions, { mounts, handOver }: Holding): Promise<ProgramResult> {
  const { manifest, ports }: HandOver = JSON.parse(handOver); // our own, from the outer run
  return withWorkspace(options, async (workspace) => {
    using attached = new Attached(options.streams, options, options.signal);
    const image = await workspace.store.images.open(manifest);
    const monitor = new Monitor(options, { workspace, image, ports, mounts, attached });
    return { kind: 'ended', exitCode: await monitor.hold() };
  });
}

interface Rooms {
  readonly workspace: Workspace;
  readonly image: Image;
  readonly ports: readonly PublishedPort[];
  readonly mounts: readonly ProcessMount[];
  readonly attached: Attached;
}

class Monitor {
  readonly #options: RunOptions;
  readonly #rooms: Rooms;
  readonly #containers: Containers;
  readonly #program: Program;
  readonly #abort = new AbortController();
  #record: ContainerRecord;
  #proxy: PortProxy | undefined;
  /** What `begin` does, and how it failed. */
  #beginning: Promise<void> | undefined;
  #isAlone = false;

  constructor(options: RunOptions, rooms: Rooms) {
    this.#options = options;
    this.#rooms = rooms;
    this.#containers = new Containers(rooms.workspace.store.paths.containers);
    const id = newId();
    const config = rooms.image.config.config ?? {};
    this.#program = programOf(options.image, config, { ...options, hostname: id.slice(0, 12) });
    const { argv, env, cwd, user, stopSignal } = this.#program;
    this.#record = {
      id,
      name: options.name ?? nameFor(options.image, id),
      image: options.image,
      imageId: rooms.image.configDescriptor.digest,
      argv,
      created: new Date().toISOString(),
      ports: rooms.ports,
      isTransient: options.isTransient,
      stopSignal,
      env,
      cwd,
      user,
      monitor: markOf(process.pid),
      state: { kind: 'starting' },
    };
  }

  /** Returns the exit code of the program. */
  async hold(): Promise<number> {
    await sweepTransient(this.#containers);
    await this.#containers.create(this.#record);
    const log = new LogWriter(this.#containers.directoryOf(this.#record.id));
    try {
      const exitCode = codeOf(await this.#run(log), this.#program);
      await this.#end(exitCode);
      return exitCode;
    } catch (error) {
      if (!this.#isAlone) {
        // nobody has seen it, so nobody would look for it
        this.#containers.remove(this.#record.id);
        throw error;
      }
      log.append('stderr', Buffer.from(`[tsbuild: ${error instanceof Error ? error.message : error}]\n`));
      await this.#end(FAILED);
      return FAILED;
    } finally {
      log.close();
    }
  }

  async #run(log: LogWriter): Promise<ExitStatus> {
    const { workspace, image, attached } = this.#rooms;
    const { isDetached, hasInput, streams } = this.#options;
    attached.signal.addEventListener('abort', () => this.#abort.abort());
    if (attached.signal.aborted) this.#abort.abort();
    await workspace.removeStale();
    await using snapshot = await workspace.library.snapshotter.prepare(image.layers);
    const spec = await this.#spec();
    const io = {
      onOutput: (stream: 'stdout' | 'stderr', chunk: Uint8Array): void => {
        log.append(stream, chunk);
        if (!isDetached) streams.onOutput(stream, chunk);
      },
      interaction: {
        hasInput,
        terminal: attached.terminalSize,
        onStarted: (process: StartedProcess): void => {
          this.#beginning = this.#begin(process).catch((error: unknown) => {
            this.#abort.abort(error);
          });
        },
      },
    };
    try {
      const { status } = await workspace.sandbox.run(spec, snapshot.mount, io, this.#abort.signal);
      return status;
    } catch (error) {
      throw this.#explain(error);
    } finally {
      await this.#beginning;
      await this.#proxy?.stop();
    }
  }

  /** The program runs: from here on others see the container. */
  async #begin(started: StartedProcess): Promise<void> {
    const { ports, attached } = this.#rooms;
    // first of all, while both are there for sure
    const [init, program] = [markOf(started.init), markOf(started.pid)];
    attached.started(this.#options.isDetached ? { ...started, stdin: undefined } : started);
    const proxied = ports.map(({ containerPort }, index) => ({ fd: HANDED_FD + index, port: containerPort }));
    if (proxied.length > 0) this.#proxy = await startPortProxy(started.init, proxied);
    this.#record = {
      ...this.#record,
      state: { kind: 'running', started: new Date().toISOString(), init, program },
    };
    await this.#containers.write(this.#record);
    if (!this.#options.isDetached) return;
    this.#options.onDetached(this.#record.id);
    this.#isAlone = true;
    leaveParent();
  }

  async #spec(): Promise<ProcessSpec> {
    const { workspace, image, mounts } = this.#rooms;
    const { argv, env, cwd, user: name } = this.#program;
    const view = await workspace.library.view(image.layers);
    const { uid, gid, groups, home } = await resolveUser(view, name);
    const volumes = Object.keys(image.config.config?.Volumes ?? {}).map((path) => posix.resolve('/', path));
    this.#record = { ...this.#record, env: { HOME: home, ...env } };
    return {
      argv,
      env: this.#record.env,
      cwd: posix.resolve('/', cwd),
      uid,
      gid,
      groups,
      ...networkOf(this.#options),
      hostname: this.#record.id.slice(0, 12),
      directories: [...volumes, posix.resolve('/', cwd)].map((path) => ({ path, uid: 0, gid: 0 })),
      files: [],
      mounts,
    };
  }

  async #end(exitCode: number): Promise<void> {
    if (this.#record.isTransient) {
      this.#containers.remove(this.#record.id);
      return;
    }
    const ended = new Date().toISOString();
    await this.#containers.write({ ...this.#record, state: { kind: 'exited', exitCode, ended } });
  }

  /** A wait that was cut short has its reason elsewhere. */
  #explain(error: unknown): unknown {
    const { received } = this.#rooms.attached;
    const { signal } = this.#abort;
    if (!signal.aborted) return error;
    if (received === undefined) return signal.reason;
    return new BuildError('E_CANCELLED', `Ended by ${received}`, {
      fields: { exitStatus: SIGNALED + constants.signals[received] },
    });
  }
}

/** Published ports need a namespace that is not the host's, whether it leads out or not. */
function networkOf({ network, publish }: RunOptions): Pick<ProcessSpec, 'network' | 'settings'> {
  if (network === 'default' && publish.length > 0) return { network: 'own' };
  return { network: modeOf(network), settings: isHelper(network) ? { networkHelper: network } : undefined };
}

/** As docker's: the failure is that of the runtime. */
const FAILED = 125;
/** What a shell adds to the number of a signal. */
const SIGNALED = 128;

export function codeOf(status: ExitStatus, { argv }: Pick<Program, 'argv'>): number {
  switch (status.kind) {
    case 'exited':
      return status.code;
    case 'signaled':
      return SIGNALED + (Object.entries(constants.signals).find(([name]) => name === status.signal)?.[1] ?? 0);
    case 'not-started':
      throw notStarted(argv, status.reason);
    default:
      return status satisfies never;
  }
}

/** The reason ends with the status that a shell would give, where one would. */
export function notStarted(argv: readonly string[], reason: string): BuildError {
  const exitStatus = Number(/\((12[67])\)$/.exec(reason)?.[1] ?? 126);
  return new BuildError('E_RUN_NOT_STARTED', `Cannot start "${argv[0] ?? ''}": ${reason}`, {
    hint: 'The program must be in the image: see its ENTRYPOINT and CMD with tsbuild inspect',
    fields: { exitStatus },
  });
}
