import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Delegated, Environment, IsolationOptions, RegistryAccess, SelfCommand, SessionOptions } from './api.ts';
import { readCaFile } from './ca-file.ts';
import { distributionSources } from './distribution-sources.ts';
import { BuildError } from './errors.ts';
import {
  CacheMounts,
  ChrootSandbox,
  chooseSandbox,
  dieWithParent,
  type ExpectedNetwork,
  enterNamespace,
  isInsideNamespace,
  type MountedRoot,
  mountView,
  type NamespaceOptions,
  overlayWorks,
  ownersOf,
  procInNamespace,
  type Sandbox,
} from './executor/index.ts';
import {
  ChosenSnapshotter,
  DirectorySnapshotter,
  DiskLayerLibrary,
  decompress,
  LayerCheck,
  LayerDirectories,
  type LayerLibrary,
  LayerWorkers,
  OverlaySnapshotter,
  type Owners,
} from './layers/index.ts';
import type { Layer } from './oci/index.ts';
import { createRegistry, loadCredentials, type Registry, type RegistryOptions } from './registry/index.ts';
import { type FetchBlob, openStore, type Store, type StoreBase, type StoreDependencies } from './store/index.ts';

declare const TSBUILD_VERSION: string | undefined;

/** The concrete rooms of one run, wired together; nothing else knows which classes stand behind the ports. */
export interface Workspace {
  readonly root: string;
  readonly store: Store;
  readonly library: LayerLibrary;
  /** What unpacks and reads layers; one pool a process. */
  readonly workers: LayerWorkers;
  /** How files of the layers and of steps say whose they are. */
  readonly owners: Owners;
  /** What steps run in; another one after `useChroot`. */
  readonly sandbox: Sandbox;
  /** From here on steps run in this process, without namespaces, in roots that are copies (rung d). */
  useChroot(): void;
  readonly registry: (access: RegistryAccess) => Registry;
  readonly caches: CacheMounts;
  /** Copies a directory of a root to a path where nothing is. */
  copyTree(chain: readonly Layer[], path: string, target: string): Promise<void>;
  /** A fresh directory, which goes by itself after a crash; `remove` ends it. */
  createActive(): Promise<string>;
  remove(paths: readonly string[]): Promise<void>;
  mountRoot(chain: readonly Layer[]): Promise<MountedRoot>;
  /** Removes what builds that were killed left unfinished. Only inside the namespace. */
  removeStale(): Promise<number>;
  /** Starts the threads that this many RUN steps need, beside what comes before them. */
  expectRuns(steps: number, network: ExpectedNetwork): void;
}

export const isRoot = (): boolean => process.getuid?.() === 0;

/** $TSBUILD_ROOT, else $XDG_DATA_HOME/tsbuild; for root /var/lib/tsbuild. */
export function defaultRoot(env: Environment): string {
  if (env.TSBUILD_ROOT) return env.TSBUILD_ROOT;
  if (isRoot()) return '/var/lib/tsbuild';
  const data = env.XDG_DATA_HOME;
  return join(data?.startsWith('/') ? data : join(env.HOME ?? homedir(), '.local/share'), 'tsbuild');
}

/** The user's own id, also inside the namespace, where everybody is root. */
export const uidOf = (env: Environment): number => Number(env.TSBUILD_UID ?? process.getuid?.() ?? 0);

export const stateDirectory = (session: SessionOptions): string => session.root ?? defaultRoot(session.env);

/** `isOffline`: nothing is fetched, also not what the store knows to lie in a registry. */
type WorkspaceSession = SessionOptions & RegistryAccess & { readonly isOffline?: boolean | undefined };

/** Opens the state directory under a lease: what this run makes or uses is not pruned meanwhile. */
export async function withWorkspace<T>(
  session: WorkspaceSession & IsolationOptions,
  work: (workspace: Workspace) => Promise<T>,
): Promise<T> {
  // a run inside the namespace has a session of its own: nothing else would end it when the outer process is killed
  if (isInsideNamespace(session.env)) dieWithParent();
  const root = stateDirectory(session);
  let isChroot = false;
  const { store, library, directories, caches } = openRooms(root, session, () => isChroot);
  const { isolation, runtime: program, env } = session;
  const network = uidOf(env) === 0 ? 'host' : 'private';
  using sandbox = chooseSandbox({
    isolation,
    program,
    network,
    path: env.PATH,
    proc: procInNamespace(env),
    owners: directories.owners,
  });
  const workspace: Workspace = {
    root,
    store,
    library,
    workers: directories.workers,
    owners: directories.owners,
    get sandbox() {
      return isChroot ? new ChrootSandbox() : sandbox;
    },
    useChroot: () => {
      isChroot = true;
    },
    registry: (access) =>
      createRegistry({ ...registryOptions(session, access), distributionSources: distributionSources(store) }),
    caches,
    copyTree: (chain, path, target) => directories.copyTree(chain, path, target),
    createActive: () => directories.createActive(),
    remove: (paths) => directories.remove(paths),
    mountRoot: async (chain) => Object.assign(await mountChain(library, chain, root), { owners: directories.owners }),
    removeStale: () => directories.removeStale(),
    expectRuns: (steps, network) => {
      if (steps > 0) directories.workers.start();
      if (!isChroot) sandbox.expect(steps, network);
    },
  };
  return await store.withLease(async () => {
    // what a killed run left belongs to sub-ids of an ordinary user, who may remove it inside the namespace only
    if (isRoot()) await directories.removeStale();
    return work(workspace);
  });
}

interface OpenRooms {
  readonly store: Store;
  readonly library: LayerLibrary;
  readonly directories: LayerDirectories;
  readonly caches: CacheMounts;
}

function openRooms(root: string, session: WorkspaceSession, isChroot: () => boolean): OpenRooms {
  const directories = new LayerDirectories(root, new LayerWorkers({ signal: session.signal }), ownersOf(session.env));
  const caches = cacheMounts(root, directories, isChroot);
  let library: LayerLibrary | undefined;
  const connect = ({ paths, blobs, layerIndex }: StoreBase): StoreDependencies => {
    const snapshotter = new ChosenSnapshotter(() => {
      // the probe mounts, which is allowed inside the namespace only; outside of it nothing is mounted anyway
      const hasOverlay = !isChroot() && (!isInsideNamespace(session.env) || overlayWorks(paths.active));
      return new (hasOverlay ? OverlaySnapshotter : DirectorySnapshotter)(directories, layerIndex);
    });
    const layers = new DiskLayerLibrary({ root, store: blobs, index: layerIndex, directories, snapshotter });
    library = layers;
    return {
      layers,
      decompress,
      removeLayerDirectory: (diffId, options) => directories.removeLayer(diffId, options),
      removeCaches: (options) => caches.prune(options),
      layerCheck: new LayerCheck(root, directories, layers),
      measure: (path) => (existsSync(path) ? directories.measure(path) : Promise.resolve(0)),
    };
  };
  const store = openStore(root, connect, { fetchBlob: session.isOffline ? undefined : fetchingWith(session) });
  if (!library) throw new BuildError('E_INTERNAL', 'The store was opened without its layers');
  return { store, library, directories, caches };
}

/** Brings layers that were left in their registries; connects when the first is asked for. */
function fetchingWith(session: WorkspaceSession): FetchBlob {
  let registry: Registry | undefined;
  return (descriptor, origin) => {
    registry ??= createRegistry(registryOptions(session, session));
    return registry.open(descriptor, origin, { emit: session.emit, signal: session.signal });
  };
}

const cacheMounts = (root: string, directories: LayerDirectories, isMoved: () => boolean): CacheMounts =>
  new CacheMounts({
    isMoved,
    // a cache of files of sub-ids is of no use without them, nor the other way round
    root: join(root, directories.owners === 'real' ? 'cache-mounts' : 'cache-mounts-recorded'),
    owners: directories.owners,
    createActive: () => directories.createActive(),
    remove: (paths) => directories.remove(paths),
    measure: (path) => directories.measure(path),
  });

async function mountChain(library: LayerLibrary, chain: readonly Layer[], root: string): Promise<MountedRoot> {
  const view = await library.snapshotter.view(chain);
  const mounted = mountView(view.mount, join(root, 'active'));
  return {
    path: mounted.path,
    [Symbol.asyncDispose]: async () => {
      mounted.dispose();
      await view[Symbol.asyncDispose]();
    },
  };
}

export function registryOptions(session: SessionOptions, access: RegistryAccess): RegistryOptions {
  const { env } = session;
  return {
    tlsVerify: access.tlsVerify ?? true,
    caCertificates: readCaFile(access),
    credentials: loadCredentials({ authfile: access.authfile, env, uid: uidOf(env) }),
    ...networkOf(env),
    decompress,
  };
}

/** How this process reaches any server. */
export const networkOf = (env: Environment) => ({
  proxy: {
    httpProxy: env.http_proxy ?? env.HTTP_PROXY,
    httpsProxy: env.https_proxy ?? env.HTTPS_PROXY,
    noProxy: env.no_proxy ?? env.NO_PROXY,
  },
  userAgent: `tsbuild/${typeof TSBUILD_VERSION === 'undefined' ? 'dev' : TSBUILD_VERSION}`,
});

export interface DelegateOptions extends Omit<NamespaceOptions, 'stdin'> {
  /** Variables for the run inside. */
  readonly env?: Environment;
  /** Variables that it must not have. */
  readonly without?: readonly string[];
}

/** Runs this very command again inside the user namespace, on the same state directory. */
export async function delegate(
  session: SessionOptions & { readonly self: SelfCommand; readonly stdin?: Uint8Array | undefined },
  { env = {}, without = [], ...namespace }: DelegateOptions = {},
): Promise<Delegated> {
  session.emit({ type: 'delegated' });
  const own = { TSBUILD_ROOT: stateDirectory(session), TSBUILD_UID: String(uidOf(session.env)) };
  const kept = Object.entries(session.self.env).filter(([name]) => !without.includes(name));
  const self = { ...session.self, env: { ...Object.fromEntries(kept), ...env, ...own } };
  return { kind: 'delegated', exitCode: await enterNamespace(self, { ...namespace, stdin: session.stdin }) };
}
