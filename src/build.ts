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
  mergedLint,
  type Node,
  stepsOf,
} from './graph/index.ts';
import { type KnownRoots, layersToRead } from './layers-to-read.ts';
import {
  type CacheIndex,
  createIndex,
  type Descriptor,
  formatPlatform,
  formatReference,
  hostPlatform,
  type Image,
  type ImageOrIndex,
  isImageIndex,
  type MtimeRule,
  type Platform,
  parseLocalName,
  ruledMtime,
  shrink,
  staySmall,
} from './oci/index.ts';
import { type BuiltImages, type OutputRooms, writeOutputs } from './outputs.ts';
import { parseContainerfiles, parseMountOption } from './parser/index.ts';
import { platformsOf } from './platforms.ts';
import { keepWithin } from './prune.ts';
import { openRemote, prefetch, type Remote } from './remote-roots.ts';
import { chooseRung } from './rung.ts';
import { encodeSecrets, readSecrets, receiveSecrets, SECRETS_FD, type Secrets, secretVariables } from './secrets.ts';
import { squashImage } from './squash.ts';
import { type PlatformGraph, plansOf } from './step-plans.ts';
import { unusedSecrets } from './unused-secrets.ts';

/**
 * The pipeline: text -> AST -> graph -> cache look-ups -> (inside the namespace, if a step must run) steps -> image ->
 * store and outputs. Throws `BuildError`; the store is intact after any failure.
 */
export async function build(options: BuildOptions): Promise<BuildResult | Delegated | Report> {
  const start = performance.now();
  const secrets = receiveSecrets(options.env);
  const contexts = parseContexts(options.contexts);
  const platforms = platformsOf(options);
  const runSettings = { ...runSettingsOf(options, options.env), inspect: failureShell(options) };
  return withWorkspace({ ...options, isOffline: options.pull === 'never' }, async (workspace) => {
    const remote = openRemote(options, workspace);
    await using context = await openContextSource(options, { workspace, remote });
    const { input } = context;
    const { ignore } = context.root();
    const lowerings = platforms.map((platform) => loweringFor(platform, options, contexts));
    if (options.call && options.call.what !== 'graph')
      return await answerCall(options.call, { options, lowerings, input, ignore, workspace });
    const file = parseContainerfiles(input.containerfiles);
    const bases = await resolveBases(file, lowerings, { workspace, pull: options.pull, session: options });
    const targets = lowerings.map((lowering) => ({
      platform: lowering.platform,
      graph: lower(file, lowering, bases.configs),
    }));
    const graphs = targets.map(({ graph }) => graph);
    if (options.call) return { kind: 'report', text: graphs.map(dumpGraph).join(''), exitCode: 0 };
    const looks = lowerings.map((lowering) => ({ options: lowering, images: bases.configs, ignore }));
    const checked = mergedLint(looks.map((look) => lint(file, { ...look, stages: 'needed' })));
    if (checked.violation) announceLint(checked, options);
    if (checked.violation) throw checked.violation;

    const mtimeRule = mtimeRuleOf(options, graphs);
    await using agents = new SshAgents({ identities: options.ssh, path: options.env.PATH, ...workspace });
    const { images } = bases;
    const cacheFrom = await openCacheFrom({ options, workspace, platforms });
    const { cache } = cacheFrom;
    const rooms = { context, contexts, workspace, remote, images, secrets, agents, mtimeRule, runSettings, cache };
    let executor: ReturnType<typeof executorOptions> | undefined = executorOptions(options, rooms);
    const steps = stepsOf(...graphs);
    if (steps.some(isRun) && !isInsideNamespace(options.self.env)) staySmall();
    let lookedUp = options.noCache ? undefined : await lookupSteps(rootsOf(graphs), executor);
    const pending = lookedUp?.missing ?? steps;
    refuseLimits(options, pending.filter(isRun));
    if (mustDelegate(steps, pending, options)) {
      const rung = await chooseRung(options);
      if (rung.isolation === 'namespaces') {
        await prefetch(graphs, remote);
        const found = { ...bases.handOver, ...cacheFrom.handOver() };
        const handOver = { ...found, ...remote.handOver(), ...context.handOver() };
        // the run inside needs the memory
        lookedUp = undefined;
        executor = undefined;
        shrink();
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
    const unused = unusedSecrets(file, steps, options.secrets);
    announce([...other, ...graphs.flatMap(({ warnings }) => warnings), ...unused, ...competing], options);
    for (const plan of plansOf(targets)) options.emit(plan);
    using _coming = bringBeside(pending, { results: lookedUp?.results ?? new Map(), images }, { options, workspace });
    const { results } = await executeSteps(rootsOf(graphs), executor, lookedUp);
    const built = await builtOf(targets, results, { options, workspace, mtimeRule });
    await workspace.library.settle([...built.images.values()].flatMap(({ layers }) => layers));
    const names = await keep(built.content, workspace, options);
    const descriptor = await writeOutputs(built, { options, workspace, mtimeRule });
    await writeCaches(graphs, results, { options, workspace });
    await keepWithin(options.keepStorageBytes, workspace, options);
    return summary(built.content, { descriptor, names, steps, results, start });
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

const rootsOf = (graphs: readonly BuildGraph[]): readonly Node[] => graphs.map(({ target }) => target);

/** The image, or of several platforms an index. */
async function builtOf(targets: readonly PlatformGraph[], results: Results, rooms: OutputRooms): Promise<BuiltImages> {
  const images = new Map<string, Image>();
  for (const { platform, graph } of targets) images.set(formatPlatform(platform), await imageOf(graph, results, rooms));
  const [first, ...others] = images.values();
  if (first && others.length === 0) return { content: first, images };
  return { content: createIndex([...images.values()], rooms.options.format), images };
}

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

function loweringFor(platform: Platform, options: BuildOptions, { named }: ParsedContexts): LowerOptions {
  return {
    target: options.target,
    buildArgs: options.buildArgs,
    labels: options.labels,
    edits: options.edits,
    from: options.from,
    platform,
    buildPlatform: hostPlatform(),
    network: modeOf(options.network),
    contexts: named,
    freshStages: options.noCacheFilter,
    mounts: options.mounts?.map(parseMountOption),
  };
}

/**
 * Steps run in the namespace, and so does reading another stage, which is mounted. An ordinary user's layers belong to
 * sub-ids, so he also needs it to make any layer, or to read one for an output.
 */
function mustDelegate(steps: readonly Node[], pending: readonly Node[], options: BuildOptions): boolean {
  if (isInsideNamespace(options.self.env)) return false;
  const isMounted = ({ op, inputs }: Node): boolean =>
    op.kind === 'copy' && inputs.slice(1).some((input) => !isSource(input));
  if (pending.some((node) => isRun(node) || isMounted(node))) return true;
  const writesCache = options.cacheTo?.some(({ type }) => type === 'image') === true;
  const readsLayers = options.outputs.length > 0 || options.squash === true || options.push === true || writesCache;
  return !isRoot() && (pending.length > 0 || (readsLayers && steps.some(isRun)));
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

async function keep(
  content: ImageOrIndex,
  { store }: Workspace,
  { tags, emit, signal }: BuildOptions,
): Promise<string[]> {
  const names = tags.map(parseLocalName);
  if (names.length === 0) await store.images.add(content, { emit, signal, missing: 'reachable' });
  for (const name of names) await store.images.write(content, name, { emit, signal, missing: 'reachable' });
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
    hasher: new FileHasher(join(workspace.store.paths.statCache, statCacheName(context.directory))),
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

/** Each once: platforms have theirs in common. */
function announce(warnings: readonly GraphWarning[], { emit }: BuildOptions): void {
  const unique = new Map(warnings.map((warning) => [JSON.stringify([warning.message, warning.range?.start]), warning]));
  for (const warning of unique.values()) emit({ type: 'warning', ...warning });
}

interface Outcome {
  readonly descriptor: Descriptor;
  readonly names: readonly string[];
  readonly steps: readonly Node[];
  readonly results: ReadonlyMap<string, { readonly isCached: boolean }>;
  readonly start: number;
}

function summary(content: ImageOrIndex, { descriptor, names, steps, results, start }: Outcome): BuildResult {
  return {
    kind: 'built',
    imageId: isImageIndex(content) ? content.descriptor.digest : content.configDescriptor.digest,
    manifest: content.descriptor.digest,
    descriptor,
    names,
    steps: steps.length,
    cached: steps.filter((step) => results.get(step.id)?.isCached === true).length,
    durationMs: performance.now() - start,
  };
}
