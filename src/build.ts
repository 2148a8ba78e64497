import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import type { BuildOptions, BuildResult, Delegated, Environment, Report } from './api.ts';
import { delegate, isRoot, type Workspace, withWorkspace } from './assembly.ts';
import { resolveBases } from './bases.ts';
import { refuseLimits, runSettingsOf } from './build-sandbox.ts';
import { mtimeRuleOf } from './build-times.ts';
import { openCacheFrom } from './cache-from.ts';
import { inlineCache, writeCaches } from './cache-to.ts';
import { answerCall } from './calls.ts';
import { type ContextSource, openContextSource } from './context-source.ts';
import { type ParsedContexts, parseContexts } from './contexts.ts';
import {
  assembleImage,
  competingIgnoreFiles,
  defaultJobs,
  type ExecutorOptions,
  executeSteps,
  FileHasher,
  isInsideNamespace,
  lookupSteps,
  modeOf,
  type NamespaceRung,
  namedContextRoot,
  type RunSettings,
  SIDE_FD,
  type SourceRoot,
  SshAgents,
  StepLocks,
  statCacheName,
  usableMemory,
} from './executor/index.ts';
import { failureShell } from './failure-shell.ts';
import {
  type BuildGraph,
  type ContextOp,
  dumpGraph,
  type GraphWarning,
  type LintResult,
  type LowerOptions,
  lint,
  lower,
  type Node,
  parseMeantPlatform,
  stepsOf,
} from './graph/index.ts';
import { type KnownRoots, layersToRead } from './layers-to-read.ts';
import {
  type CacheIndex,
  type Descriptor,
  formatReference,
  hostPlatform,
  type Image,
  type MtimeRule,
  type Platform,
  parseLocalName,
  ruledMtime,
} from './oci/index.ts';
import { type OutputRooms, writeOutputs } from './outputs.ts';
import { parseContainerfiles, parseMountOption } from './parser/index.ts';
import { keepWithin } from './prune.ts';
import { openRemote, prefetch, type Remote } from './remote-roots.ts';
import { chooseRung } from './rung.ts';
import { encodeSecrets, readSecrets, receiveSecrets, SECRETS_FD, type Secrets, secretVariables } from './secrets.ts';
import { squashImage } from './squash.ts';
import { unusedSecrets } from './unused-secrets.ts';

/**
 * The pipeline: text -> AST -> graph -> cache look-ups -> (inside the namespace, if a step must run) steps -> image ->
 * store and outputs. Throws `BuildError`; the store is intact after any failure.
 */
export async function build(options: BuildOptions): Promise<BuildResult | Delegated | Report> {
  const start = performance.now();
  const secrets = receiveSecrets(options.env);
  const contexts = parseContexts(options.contexts);
  const runSettings = { ...runSettingsOf(options, options.env), inspect: failureShell(options) };
  return withWorkspace({ ...options, isOffline: options.pull === 'never' }, async (workspace) => {
    const remote = openRemote(options, workspace);
    await using context = await openContextSource(options, { workspace, remote });
    const { input } = context;
    const lowering = loweringOf(options, contexts);
    const { ignore } = context.root();
    if (options.call && options.call.what !== 'graph')
      return await answerCall(options.call, { options, lowering, input, ignore, workspace });
    const file = parseContainerfiles(input.containerfiles);
    const bases = await resolveBases(file, lowering, { workspace, pull: options.pull, session: options });
    const graph = lower(file, lowering, bases.configs);
    if (options.call) return { kind: 'report', text: dumpGraph(graph), exitCode: 0 };
    const checked = lint(file, { options: lowering, images: bases.configs, ignore, stages: 'needed' });
    if (checked.violation) announceLint(checked, options);
    if (checked.violation) throw checked.violation;

    const mtimeRule = mtimeRuleOf(options, graph);
    await using agents = new SshAgents({ identities: options.ssh, path: options.env.PATH, ...workspace });
    const { images } = bases;
    const cacheFrom = await openCacheFrom({ options, workspace, platform: lowering.platform });
    const { cache } = cacheFrom;
    const rooms = { context, contexts, workspace, remote, images, secrets, agents, mtimeRule, runSettings, cache };
    let executor = executorOptions(options, rooms);
    const lookedUp = options.noCache ? undefined : await lookupSteps(graph.target, executor);
    const pending = lookedUp?.missing ?? stepsOf(graph);
    refuseLimits(options, pending.filter(isRun));
    if (mustDelegate(graph, pending, options)) {
      const rung = await chooseRung(options);
      if (rung.isolation === 'namespaces') {
        await prefetch(graph, remote);
        const found = { ...bases.handOver, ...cacheFrom.handOver() };
        const handOver = { ...found, ...remote.handOver(), ...context.handOver() };
        return await delegateBuild(pending, options, { handOver, rung });
      }
      workspace.useChroot();
      executor = executorOptions(options, { ...rooms, secrets: readSecrets(pending, options) });
    }

    const competing =
      context.isLocal && options.ignoreFile === undefined ? competingIgnoreFiles(context.directory, input) : [];
    const network = { mode: modeOf(options.network), settings: runSettings.sandbox };
    workspace.expectRuns(pending.filter(isRun).length, network);
    await removeStale(workspace, options);
    announceLint(checked, options);
    const other = file.warnings.filter(({ rule }) => rule === undefined);
    const unused = unusedSecrets(file, stepsOf(graph), options.secrets);
    announce(graph, [...other, ...graph.warnings, ...unused, ...competing], options);
    using _coming = bringBeside(pending, { results: lookedUp?.results ?? new Map(), images }, { options, workspace });
    const { results } = await executeSteps(graph.target, executor, lookedUp);
    const image = await imageOf(graph, results, { options, workspace, mtimeRule });
    const names = await keep(image, workspace, options);
    const descriptor = await writeOutputs(image, { options, workspace, mtimeRule });
    await writeCaches(graph, results, { options, workspace });
    await keepWithin(options.keepStorageBytes, workspace, options);
    return summary(image, { descriptor, names, graph, results, start });
  });
}

/**
 * Fetches the layers that steps need while the first ones run: who needs one waits for it, and is told why it cannot be had. Only in the
 * namespace, where steps work on them.
 */
function bringBeside(
  pending: readonly Node[],
  roots: KnownRoots,
  { options, workspace }: Pick<OutputRooms, 'options' | 'workspace'>,
): Disposable {
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  if (isInsideNamespace(options.self.env)) {
    workspace.store.bring(layersToRead(pending, roots), { signal }).catch(() => undefined); // see above
  }
  return { [Symbol.dispose]: () => stop.abort() };
}

type Results = Parameters<typeof assembleImage>[1];

async function imageOf(graph: BuildGraph, results: Results, rooms: OutputRooms): Promise<Image> {
  const { options, workspace, mtimeRule } = rooms;
  const { format, createdAnnotation, cacheTo = [] } = options;
  const annotations = cacheTo.some(({ type }) => type === 'inline') ? inlineCache(graph, results) : {};
  const image = assembleImage(graph, results, {
    format,
    fixedTime: mtimeRule?.seconds,
    createdAnnotation,
    annotations,
  });
  return options.squash ? squashImage(image, { workspace, format, mtimeRule }) : image;
}

const isRun = ({ op }: Node): boolean => op.kind === 'run';

function loweringOf(options: BuildOptions, { named }: ParsedContexts): LowerOptions {
  return {
    target: options.target,
    buildArgs: options.buildArgs,
    labels: options.labels,
    edits: options.edits,
    from: options.from,
    platform: platformOf(options),
    buildPlatform: hostPlatform(),
    network: modeOf(options.network),
    contexts: named,
    freshStages: options.noCacheFilter,
    mounts: options.mounts?.map(parseMountOption),
  };
}

function platformOf({ platform, osVersion }: BuildOptions): Platform {
  const parsed = platform === undefined ? hostPlatform() : parseMeantPlatform(platform);
  return osVersion === undefined ? parsed : { ...parsed, 'os.version': osVersion };
}

/**
 * Steps run in the namespace, and so does reading another stage, which is mounted. An ordinary user's layers belong to
 * sub-ids, so he also needs it to make any layer, or to read one for an output.
 */
function mustDelegate(graph: BuildGraph, pending: readonly Node[], options: BuildOptions): boolean {
  if (isInsideNamespace(options.self.env)) return false;
  const isMounted = ({ op, inputs }: Node): boolean =>
    op.kind === 'copy' && inputs.slice(1).some((input) => !isSource(input));
  if (pending.some((node) => isRun(node) || isMounted(node))) return true;
  const writesCache = options.cacheTo?.some(({ type }) => type === 'image') === true;
  const readsLayers = options.outputs.length > 0 || options.squash === true || options.push === true || writesCache;
  return !isRoot() && (pending.length > 0 || (readsLayers && stepsOf(graph).some(isRun)));
}

/** Secrets are read here, where the user's files and variables are, and reach the run inside by a pipe. */
function delegateBuild(
  pending: readonly Node[],
  options: BuildOptions,
  { handOver, rung }: { readonly handOver: Environment; readonly rung: NamespaceRung },
): Promise<Delegated> {
  const secrets = readSecrets(pending, options);
  const without = secretVariables(options.secrets).filter((name) => !Object.hasOwn(options.buildArgs, name));
  if (secrets.size === 0) return delegate(options, { env: handOver, without, rung });
  return delegate(options, {
    rung,
    env: { ...handOver, [SECRETS_FD]: String(SIDE_FD) },
    without,
    side: encodeSecrets(secrets),
  });
}

/** Best effort: what is left over costs space only. */
async function removeStale(workspace: Workspace, { self, emit }: BuildOptions): Promise<void> {
  if (!isInsideNamespace(self.env)) return;
  try {
    await workspace.removeStale();
  } catch (error) {
    const message = `Cannot remove what an earlier build left behind: ${error instanceof Error ? error.message : error}`;
    emit({ type: 'warning', message, hint: 'tsbuild prune removes it too' });
  }
}

async function keep(image: Image, { store }: Workspace, { tags, emit, signal }: BuildOptions): Promise<string[]> {
  const names = tags.map(parseLocalName);
  if (names.length === 0) await store.images.add(image, { emit, signal, missing: 'reachable' });
  for (const name of names) await store.images.write(image, name, { emit, signal, missing: 'reachable' });
  return names.map(formatReference);
}

/** Sources of files that are there, or are fetched, without a mount. */
const isSource = ({ op }: Node): boolean => op.kind === 'context' || op.kind === 'http' || op.kind === 'git';

interface Rooms {
  readonly context: ContextSource;
  readonly contexts: ParsedContexts;
  readonly workspace: Workspace;
  readonly remote: Remote;
  readonly images: ReadonlyMap<string, Image>;
  readonly runSettings: RunSettings;
  readonly mtimeRule: MtimeRule | undefined;
  readonly secrets: Secrets;
  readonly agents: SshAgents;
  readonly cache: CacheIndex;
}

/** The build context, or one of `--build-context`. */
function localRoot({ name }: ContextOp, { context, contexts }: Rooms): SourceRoot {
  const directory = contexts.directories.get(name);
  return directory === undefined ? context.root() : namedContextRoot(name, directory);
}

const machine = () => ({
  processors: availableParallelism(),
  memoryBytes: usableMemory(totalmem(), process.constrainedMemory()),
});

function executorOptions(options: BuildOptions, rooms: Rooms): ExecutorOptions {
  const { context, workspace, images, mtimeRule, runSettings } = rooms;
  const { input } = context;
  return {
    library: workspace.library,
    cache: rooms.cache,
    sandbox: workspace.sandbox,
    hasher: new FileHasher(join(workspace.root, 'stat-cache', statCacheName(context.directory))),
    baseLayers: (digest) => images.get(digest)?.layers ?? [],
    sourceRoot: async (op) => (op.kind === 'context' ? localRoot(op, rooms) : rooms.remote.root(op)),
    mountRoot: (chain) => workspace.mountRoot(chain),
    mountSources: {
      caches: workspace.caches,
      copyTree: (chain, path, target) => workspace.copyTree(chain, path, target),
      secret: (id) => rooms.secrets.get(id),
      openAgent: (id, owner) => rooms.agents.open(id, owner),
    },
    markUsed: async (layers) => {
      await Promise.all(layers.map(({ diffId }) => workspace.store.layerIndex.touch(diffId)));
    },
    emit: options.emit,
    signal: options.signal,
    jobs: options.jobs ?? defaultJobs(machine()),
    cachePolicy: { noCache: options.noCache, ttlMs: options.cacheTtlMs },
    locks: new StepLocks(workspace.store.paths.stepLocks),
    runSettings,
    mtimeRule,
    inlineMtime: ruledMtime(input.mtime, mtimeRule),
  };
}

function announceLint({ warnings }: LintResult, { emit }: BuildOptions): void {
  for (const { detail, rule, range, hint } of warnings)
    emit({ type: 'warning', message: detail, rule, range, ...(hint === undefined ? {} : { hint }) });
}

function announce(graph: BuildGraph, warnings: readonly GraphWarning[], { emit }: BuildOptions): void {
  for (const warning of warnings) emit({ type: 'warning', ...warning });
  emit({ type: 'plan', steps: stepsOf(graph).map(({ id, stage, label }) => ({ id, stage, label })) });
}

interface Outcome {
  readonly descriptor: Descriptor;
  readonly names: readonly string[];
  readonly graph: BuildGraph;
  readonly results: ReadonlyMap<string, { readonly isCached: boolean }>;
  readonly start: number;
}

function summary(image: Image, { descriptor, names, graph, results, start }: Outcome): BuildResult {
  const steps = stepsOf(graph);
  return {
    kind: 'built',
    imageId: image.configDescriptor.digest,
    manifest: image.descriptor.digest,
    descriptor,
    names,
    steps: steps.length,
    cached: steps.filter((step) => results.get(step.id)?.isCached === true).length,
    durationMs: performance.now() - start,
  };
}
