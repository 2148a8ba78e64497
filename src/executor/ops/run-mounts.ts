import { BuildError } from '../../errors.ts';
import type { Node, RunMount, RunOp } from '../../graph/index.ts';
import type { LayerLibrary } from '../../layers/index.ts';
import { chainIdOf, type Layer } from '../../oci/index.ts';
import type { CacheMounts, CacheRequest } from '../cache-mounts.ts';
import { resolveInRoot } from '../rootfs-path.ts';
import type { FileOwner, ProcessMount } from '../sandbox/index.ts';

/** What mounts take from outside of the layers. */
export interface MountSources {
  readonly caches: CacheMounts;
  /** Copies a directory of a chain's root (relative, clean) to a path where nothing is. */
  copyTree(chain: readonly Layer[], path: string, target: string): Promise<void>;
  /** undefined: none of that id was given. */
  secret(id: string): Uint8Array | undefined;
  /** A socket that leads to the agent of that id. undefined: none was given. */
  openAgent(id: string, owner: FileOwner): Promise<AgentSocket | undefined>;
}

export interface AgentSocket extends AsyncDisposable {
  readonly path: string;
}

export interface OpeningMounts {
  readonly node: Node;
  readonly op: RunOp;
  /** The roots behind the inputs after the parent, in order. */
  readonly inputs: readonly (readonly Layer[])[];
  readonly library: LayerLibrary;
  readonly sources: MountSources;
  readonly signal: AbortSignal;
  readonly onWait: (message: string) => void;
}

/** The mounts of one step, open until disposal. */
export interface OpenMounts extends AsyncDisposable {
  readonly mounts: readonly ProcessMount[];
  /** Secrets with `env`. */
  readonly env: Readonly<Record<string, string>>;
  /** SSH_AUTH_SOCK, where neither the image nor the step sets it. */
  readonly defaultEnv: Readonly<Record<string, string>>;
}

/**
 * Gets ready what a RUN mounts: roots to look into, caches (locked as their `sharing` says), secrets, agents. Throws
 * `E_NO_SECRET`, `E_NOT_IN_CONTEXT`, each with the mount's place.
 */
export async function openMounts(opening: OpeningMounts): Promise<OpenMounts> {
  const run = new StepMounts(opening);
  try {
    await run.open();
    return run;
  } catch (error) {
    await run[Symbol.asyncDispose]();
    throw error;
  }
}

type MountOf<Type extends RunMount['type']> = Extract<RunMount, { type: Type }>;

class StepMounts implements OpenMounts {
  readonly mounts: ProcessMount[] = [];
  readonly env: Record<string, string> = {};
  readonly defaultEnv: Record<string, string> = {};
  readonly #opening: OpeningMounts;
  readonly #resources: (Disposable | AsyncDisposable)[] = [];

  constructor(opening: OpeningMounts) {
    this.#opening = opening;
  }

  async open(): Promise<void> {
    const { op } = this.#opening;
    const caches = await this.#takeCaches(op.mounts.filter((mount) => mount.type === 'cache'));
    for (const mount of op.mounts) {
      try {
        await this.#open(mount, caches);
      } catch (error) {
        throw error instanceof BuildError ? error.at(mount.range) : error;
      }
    }
  }

  async #open(mount: RunMount, caches: ReadonlyMap<RunMount, string>): Promise<void> {
    switch (mount.type) {
      case 'bind':
        return this.#openBind(mount);
      case 'cache': {
        const { target, input, readOnly } = mount;
        const source = input === undefined ? mount.source : '/';
        const root = { type: 'bind', source: caches.get(mount) ?? '' } as const;
        const description = `the cache "${mount.id}"`;
        this.mounts.push({ kind: 'tree', target, root, source, readOnly, isPrivate: true, description });
        return;
      }
      case 'tmpfs':
        this.mounts.push({ kind: 'tmpfs', ...mount });
        return;
      case 'secret':
        return this.#openSecret(mount);
      case 'ssh':
        return this.#openAgent(mount);
      default:
        return mount satisfies never;
    }
  }

  /** A writable one is a root of its own that is never committed. */
  async #openBind({ target, input, source, readOnly }: MountOf<'bind'>): Promise<void> {
    const { library, node } = this.#opening;
    const chain = this.#chain(input);
    const { snapshotter } = library;
    const snapshot = readOnly ? await snapshotter.view(chain) : await snapshotter.prepare(chain);
    this.#resources.push(snapshot);
    const description = describe(node.inputs[input]);
    this.mounts.push({ kind: 'tree', target, root: snapshot.mount, source, readOnly, isPrivate: true, description });
  }

  /** In the order of their keys, so that two steps never wait for each other; one that is mounted twice is taken once. */
  async #takeCaches(mounts: readonly MountOf<'cache'>[]): Promise<ReadonlyMap<RunMount, string>> {
    const { sources, signal, onWait } = this.#opening;
    const wanted = mounts
      .map((mount) => ({ mount, request: this.#cacheRequest(mount) }))
      .map(({ mount, request }) => ({ mount, request, key: sources.caches.keyOf(request) }))
      .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    const taken = new Map<string, string>();
    const directories = new Map<RunMount, string>();
    for (const { mount, request, key } of wanted) {
      const wait = () => onWait(`Waiting for the cache "${mount.id}": another step uses it`);
      let directory = taken.get(key);
      if (directory === undefined) {
        const lease = await sources.caches.take(request, { signal, onWait: wait });
        this.#resources.push(lease);
        directory = lease.directory;
        taken.set(key, directory);
      }
      directories.set(mount, directory);
    }
    return directories;
  }

  #cacheRequest({ id, sharing, mode, uid, gid, input, source, range }: MountOf<'cache'>): CacheRequest {
    const common = { id, sharing, mode, uid, gid };
    if (input === undefined) return common;
    const { library, sources, node } = this.#opening;
    const chain = this.#chain(input);
    const name = `${chainIdOf(chain.map(({ diffId }) => diffId)) ?? 'scratch'} ${source}`;
    const copyTo = async (directory: string): Promise<void> => {
      const { path, entry } = resolveInRoot(await library.view(chain), source);
      if (entry?.type !== 'directory' && path !== '/') {
        throw new BuildError(
          'E_NOT_IN_CONTEXT',
          `Cannot fill a cache with "${source}": it is no directory of ${describe(node.inputs[input])}`,
          {
            hint: "Check the mount's source; it is a path in what from= names",
            range,
          },
        );
      }
      await sources.copyTree(chain, path.slice(1), directory);
    };
    return { ...common, seed: { name, copyTo } };
  }

  #openSecret(mount: MountOf<'secret'>): void {
    const { id, target, env, mode, uid, gid, required, range } = mount;
    const content = this.#opening.sources.secret(id);
    if (content === undefined) {
      if (required) throw notGiven(`secret "${id}"`, range);
      return;
    }
    if (target !== undefined) this.mounts.push({ kind: 'secret', target, content, mode, uid, gid });
    if (env === undefined) return;
    const text = Buffer.from(content).toString('utf8');
    if (text.includes('\0')) {
      throw new BuildError('E_RUN_NOT_STARTED', `Cannot put the secret "${id}" into a variable: it has a zero byte`, {
        hint: 'Mount it as a file: target=/run/secrets/NAME',
        range,
      });
    }
    this.env[env] = text;
  }

  async #openAgent({ id, target, mode, uid, gid, required, range }: MountOf<'ssh'>): Promise<void> {
    const agent = await this.#opening.sources.openAgent(id, { mode, uid, gid });
    if (agent === undefined) {
      if (required) throw notGiven(`ssh agent "${id}"`, range);
      return;
    }
    this.#resources.push(agent);
    this.mounts.push({ kind: 'socket', target, path: agent.path });
    this.defaultEnv.SSH_AUTH_SOCK ??= target;
  }

  #chain(input: number): readonly Layer[] {
    const chain = this.#opening.inputs[input - 1];
    if (!chain) throw new BuildError('E_INTERNAL', `A step has no input ${input}`);
    return chain;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const resource of this.#resources.toReversed()) {
      if (Symbol.dispose in resource) resource[Symbol.dispose]();
      else await resource[Symbol.asyncDispose]();
    }
    this.#resources.length = 0;
  }
}

function describe(node: Node | undefined): string {
  if (node?.op.kind === 'image') return `image "${node.op.reference}"`;
  return node?.slot.includes('/RUN/mount ') ? 'the context' : `stage "${node?.stage}"`;
}

/** Known before the first step, unless the cache lost a result meanwhile. */
const notGiven = (what: string, range: RunMount['range']): BuildError =>
  new BuildError('E_NO_SECRET', `The ${what} is required and was not given`, {
    hint: 'Give it with --secret or --ssh',
    range,
  });
