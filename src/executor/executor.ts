import { BuildError } from '../errors.ts';
import type { EventSink } from '../events.ts';
import {
  type ContextOp,
  type CopyOp,
  cacheKey,
  type GitOp,
  type HttpOp,
  type Node,
  type NodeId,
  type Op,
} from '../graph/index.ts';
import type { CommittedLayer, LayerLibrary, Owners } from '../layers/index.ts';
import {
  type CacheIndex,
  type CacheKey,
  type CacheRecord,
  chainIdOf,
  type Layer,
  type MtimeRule,
  tidy,
} from '../oci/index.ts';
import { directoriesLayer } from './copy-layer.ts';
import { type Selection, selectAll, selectFromContext } from './copy-selection.ts';
import { type FileHasher, freshReader } from './file-hasher.ts';
import { openLayerRoot } from './layer-root.ts';
import { copyStep } from './ops/copy.ts';
import { runStep } from './ops/run.ts';
import type { MountSources } from './ops/run-mounts.ts';
import { ReadLog } from './read-log.ts';
import { keyedSettings, type RunSettings } from './run-settings.ts';
import type { Sandbox } from './sandbox/index.ts';
import { Slots } from './slots.ts';
import { closeSource } from './source-cursor.ts';
import type { SourceRoot } from './source-root.ts';
import { type CachePolicy, StepCache, type StepKey } from './step-cache.ts';
import type { StepLocks } from './step-locks.ts';

/** A stage's filesystem, readable at `path` until disposed. */
export interface MountedRoot extends AsyncDisposable {
  readonly path: string;
  readonly owners?: Owners | undefined;
}

export interface ExecutorOptions {
  readonly library: LayerLibrary;
  readonly cache: CacheIndex;
  readonly sandbox: Sandbox;
  readonly hasher: FileHasher;
  /** Layers of an image that the graph names, by the digest of its manifest. */
  readonly baseLayers: (manifestDigest: string) => readonly Layer[];
  /** The directory behind a node that is a source of files by itself; asked once a node and build. */
  readonly sourceRoot: (op: ContextOp | HttpOp | GitOp) => Promise<SourceRoot>;
  readonly mountRoot: (chain: readonly Layer[]) => Promise<MountedRoot>;
  /** For RUN --mount. */
  readonly mountSources: MountSources;
  /** Keeps layers from being pruned by other processes, before a step works on them. */
  readonly runSettings?: RunSettings | undefined;
  readonly markUsed: (layers: readonly Layer[]) => Promise<void>;
  readonly emit: EventSink;
  readonly signal: AbortSignal;
  readonly jobs: number;
  readonly cachePolicy: CachePolicy;
  /** Absent: nobody else works on these layers. */
  readonly locks?: StepLocks | undefined;
  readonly mtimeRule: MtimeRule | undefined;
  /** Seconds: the time of files that the Containerfile itself holds. */
  readonly inlineMtime: number;
}

export interface StepResult {
  /** Of a context, URL or repository: it has no layers. */
  readonly root?: SourceRoot;
  /** The root after the step, base first. */
  readonly chain: readonly Layer[];
  /** RFC 3339: when the step ran; absent for bases. */
  readonly created?: string;
  /** The step made a layer (a WORKDIR whose directory existed makes none). */
  readonly hasLayer: boolean;
  readonly isCached: boolean;
  /** Of a step: where the cache has it, by the layers and by the content that it is given. */
  readonly keys?: readonly CacheKey[];
}

/** `lookup`: only asks the cache; a step that is not in it, and all that need it, have no result. */
type Mode = 'lookup' | 'execute';

export interface Execution {
  readonly results: ReadonlyMap<NodeId, StepResult>;
  /** Empty after `execute`. */
  readonly missing: readonly Node[];
  /** What the COPY steps read from the context. */
  readonly selections: ReadonlyMap<NodeId, Selection>;
}

/** Asks the cache only: no step runs, nothing is mounted, nothing is said. */
export const lookupSteps = (targets: readonly Node[], options: ExecutorOptions): Promise<Execution> =>
  new Run({ ...options, emit: () => {} }, 'lookup').evaluateAll(targets);

/**
 * Runs what the cache does not have; independent steps in parallel, equal ones of several targets once. The first failure
 * stops the others. `lookedUp`: what `lookupSteps` found out of the same graphs just before.
 */
export const executeSteps = (
  targets: readonly Node[],
  options: ExecutorOptions,
  lookedUp?: Execution,
): Promise<Execution> => new Run(options, 'execute', lookedUp?.selections).evaluateAll(targets);

interface Step {
  readonly node: Node;
  readonly parent: readonly Layer[];
  /** Of the inputs behind the parent, in order. */
  readonly sources: readonly StepResult[];
  /** Of a COPY, once its roots are there. */
  readonly selection?: Selection;
}

type Result = Omit<CacheRecord, 'key' | 'preimage'>;

/** Input 0 of a node is its parent. */
function inputRoot(roots: readonly SourceRoot[], input: number): SourceRoot {
  const root = roots[input - 1];
  if (!root) throw new BuildError('E_INTERNAL', `A step has no input ${input}`);
  return root;
}

/** Made without a look at the parent: the layer serves on top of any. */
const isLinked = (op: Op): boolean => op.kind === 'copy' && op.link;

/** What a key says of layers. */
const chainText = (chain: readonly Layer[]): string => chainIdOf(chain.map(({ diffId }) => diffId)) ?? 'scratch';

class Run {
  readonly #options: ExecutorOptions;
  readonly #mode: Mode;
  readonly #slots: Slots;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #promises = new Map<NodeId, Promise<StepResult | undefined>>();
  readonly #results = new Map<NodeId, StepResult>();
  readonly #missing: Node[] = [];
  readonly #cache: StepCache;
  readonly #selections: Map<NodeId, Selection>;

  constructor(options: ExecutorOptions, mode: Mode, selections: ReadonlyMap<NodeId, Selection> = new Map()) {
    this.#selections = new Map(selections);
    this.#options = options;
    this.#cache = new StepCache(options.cache, options.cachePolicy, mode === 'execute');
    this.#mode = mode;
    this.#slots = new Slots(options.jobs);
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
  }

  async evaluateAll(targets: readonly Node[]): Promise<Execution> {
    await Promise.allSettled(targets.map((target) => this.#evaluate(target))); // a failure is the reason of the stop
    await Promise.allSettled(this.#promises.values()); // nothing runs on after we return
    this.#options.hasher.save();
    for (const { root } of this.#results.values()) if (root) closeSource(root); // opened again where somebody reads on
    this.#stop.signal.throwIfAborted();
    return { results: this.#results, missing: this.#missing, selections: this.#selections };
  }

  #evaluate(node: Node): Promise<StepResult | undefined> {
    let promise = this.#promises.get(node.id);
    if (promise === undefined) {
      promise = this.#step(node).then((result) => {
        if (result) this.#results.set(node.id, result);
        return result;
      });
      // the first failure is the reason; what fails because of it says nothing new
      promise.catch((error) => this.#stop.abort(error));
      this.#promises.set(node.id, promise);
    }
    return promise;
  }

  async #step(node: Node): Promise<StepResult | undefined> {
    const inputs = await Promise.all(node.inputs.map((input) => this.#evaluate(input)));
    this.#signal.throwIfAborted();
    const { op } = node;
    switch (op.kind) {
      case 'scratch':
        return { chain: [], hasLayer: false, isCached: true };
      case 'context':
      case 'http':
      case 'git':
        return { root: await this.#sourceRoot(node, op), chain: [], hasLayer: false, isCached: true };
      case 'image':
        return { chain: this.#options.baseLayers(op.digest), hasLayer: false, isCached: true };
      case 'run':
      case 'copy':
      case 'mkdir':
        break;
      default:
        throw op satisfies never;
    }
    const [parent, ...sources] = inputs.filter((input) => input !== undefined);
    if (parent === undefined || sources.length + 1 < inputs.length) {
      this.#missing.push(node);
      return undefined;
    }
    try {
      const selection = op.kind === 'copy' ? this.#select(node, op, sources) : undefined;
      return await this.#lookupOrExecute({ node, parent: parent.chain, sources, ...(selection ? { selection } : {}) });
    } catch (error) {
      throw error instanceof BuildError && !this.#signal.aborted ? error.at(node.range) : error;
    }
  }

  async #sourceRoot(node: Node, op: ContextOp | HttpOp | GitOp): Promise<SourceRoot> {
    try {
      const { hasher } = this.#options;
      const root = await this.#options.sourceRoot(op);
      const xattrsOf: SourceRoot['xattrsOf'] = (file, stat) => hasher.xattrs(file, stat);
      return { ...root, xattrsOf, log: new ReadLog() };
    } catch (error) {
      throw error instanceof BuildError && !this.#signal.aborted ? error.at(node.range) : error;
    }
  }

  /** undefined: it copies from layers, which are looked into only when it runs. */
  #select(node: Node, op: CopyOp, inputs: readonly StepResult[]): Selection | undefined {
    const roots = inputs.flatMap(({ root }) => root ?? []);
    if (roots.length < inputs.length) return undefined;
    const known = this.#selections.get(node.id);
    if (known) return known;
    const memory = { hasher: this.#options.hasher, slot: node.slot, isFresh: this.#cache.isOff(node) };
    const selection = selectFromContext(op, (input) => inputRoot(roots, input), memory);
    this.#selections.set(node.id, selection);
    return selection;
  }

  async #lookupOrExecute(step: Step): Promise<StepResult | undefined> {
    const { node } = step;
    const key = this.#key(step);
    const record = await this.#cache.lookup(node, key);
    if (record) return this.#cached(step, record, 'inputs');
    if (this.#mode === 'lookup') {
      this.#missing.push(node);
      return undefined;
    }
    return this.#slots.use(() => this.#execute(step, key));
  }

  /** Once at a time on this store: what another build made of the same step meanwhile is taken. */
  async #execute(step: Step, key: StepKey): Promise<StepResult> {
    const { locks, emit, markUsed } = this.#options;
    const { node, parent, sources } = step;
    this.#signal.throwIfAborted();
    const onWait = (): void => emit({ type: 'info', message: `Waiting for another build that runs "${node.label}"` });
    using lock = this.#cache.isOff(node) ? undefined : await locks?.take(key.key, { signal: this.#signal, onWait });
    const record = lock?.hasWaited ? await this.#cache.lookup(node, key) : undefined;
    if (record) return await this.#cached(step, record, 'inputs');
    await markUsed([...parent, ...sources.flatMap(({ chain }) => chain)]);
    if (node.op.kind === 'copy' && !step.selection) return await this.#copyFromLayers(step, node.op, key);
    return await this.#make(step, [key]);
  }

  /**
   * A COPY from another stage or image. Other layers may hold the same files (a stage that was built again): the content of
   * what is copied is a second key.
   */
  async #copyFromLayers(step: Step, op: CopyOp, key: StepKey): Promise<StepResult> {
    const { node, sources } = step;
    await using mounted = await this.#options.mountRoot(sources[0]?.chain ?? []);
    using root = openLayerRoot(mounted, node.inputs[1]);
    const selected = { ...step, selection: selectAll(op, () => root.sources, freshReader) };
    const contentKey = this.#key(selected);
    const record = await this.#cache.lookup(node, contentKey);
    if (!record) return await this.#make(selected, [contentKey, key]);
    await this.#cache.alias(record, key);
    return await this.#cached(step, { ...record, key: key.key, contentKey: contentKey.key }, 'content');
  }

  /** Runs the step and keeps its result under the keys. */
  async #make(step: Step, keys: readonly [StepKey, ...StepKey[]]): Promise<StepResult> {
    const { node, selection } = step;
    const files = selection?.lines;
    this.#options.emit({ type: 'step.miss', step: node.id, ...(await this.#cache.explain(node, keys[0], files)) });
    const layer = await this.#timed(step, keys[0].key);
    const made: Result = {
      slot: node.slot,
      created: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
      ...(layer ? { layer: { diffId: layer.diffId, sizeBytes: layer.sizeBytes } } : {}),
      ...(files ? { files } : {}),
    };
    await this.#cache.record(made, keys);
    this.#selections.delete(node.id); // nobody selects for a step again that has run
    return this.#resultOf(step, made, { keys: keys.map(({ key }) => key), isCached: false });
  }

  #cached(step: Step, record: CacheRecord, level: 'inputs' | 'content'): Promise<StepResult> {
    const { created, source, key, contentKey } = record;
    const from = source === undefined ? {} : { source };
    this.#options.emit({ type: 'step.cached', step: step.node.id, level, created, ...from });
    const keys = contentKey === undefined ? [key] : [contentKey, key];
    return this.#resultOf(step, record, { keys, isCached: true });
  }

  #key({ node, parent, selection, sources: inputs }: Step): StepKey {
    const chains = inputs.map(({ chain }) => chainText(chain));
    const sources = selection ? selection.digest : chains.length === 0 ? undefined : chains.join(' ');
    return cacheKey(node.op, {
      platform: node.platform,
      parent: isLinked(node.op) ? null : (chainIdOf(parent.map((layer) => layer.diffId)) ?? null),
      mtimeRule: this.#options.mtimeRule,
      ...(node.op.kind === 'run' ? { sandbox: keyedSettings(this.#options.runSettings ?? {}) } : {}),
      ...(sources === undefined ? {} : { sources }),
    });
  }

  async #resultOf(
    { parent }: Step,
    { created, layer }: Pick<CacheRecord, 'created' | 'layer'>,
    facts: { readonly keys: readonly CacheKey[]; readonly isCached: boolean },
  ): Promise<StepResult> {
    if (!layer) return { chain: parent, created, hasLayer: false, ...facts };
    const found = await this.#options.library.find(layer.diffId);
    if (!found)
      throw new BuildError('E_CORRUPT_STORE', `The layer ${layer.diffId} vanished from the store`, {
        hint: 'Build again with --no-cache',
      });
    return { chain: [...parent, found], created, hasLayer: true, ...facts };
  }

  async #timed(step: Step, key: CacheKey): Promise<CommittedLayer | undefined> {
    const { emit } = this.#options;
    const { id } = step.node;
    const start = performance.now();
    emit({ type: 'step.started', step: id });
    try {
      const layer = await this.#perform(step, key).catch((error: unknown) => {
        // whoever finds damage puts what is damaged away; a RUN has shown its output by then
        if (!isDamage(error) || step.node.op.kind === 'run') throw error;
        return this.#perform(step, key);
      });
      const result = layer ? { diffId: layer.diffId, sizeBytes: layer.sizeBytes } : {};
      emit({ type: 'step.finished', step: id, durationMs: performance.now() - start, ...result });
      return layer;
    } catch (error) {
      emit({ type: 'step.failed', step: id, durationMs: performance.now() - start });
      throw error;
    }
  }

  async #perform(step: Step, key: CacheKey): Promise<CommittedLayer | undefined> {
    const { node, parent } = step;
    const { library, sandbox, mtimeRule, emit } = this.#options;
    const { op } = node;
    if (op.kind === 'run') {
      tidy();
      const onOutput = (stream: 'stdout' | 'stderr', chunk: Uint8Array): void =>
        emit({ type: 'step.output', step: node.id, stream, chunk });
      const onWait = (message: string): void => emit({ type: 'info', message });
      const inputs = step.sources.map(({ chain }) => chain);
      const { mountSources: sources, runSettings: settings = {} } = this.#options;
      const signal = this.#signal;
      return runStep({
        node,
        op,
        parent,
        library,
        sandbox,
        mtimeRule,
        settings,
        inputs,
        sources,
        onOutput,
        onWait,
        signal,
      });
    }
    if (op.kind === 'mkdir') {
      const tar = await directoriesLayer(await library.view(parent), op.pending, mtimeRule);
      return tar && library.commitTar(tar);
    }
    if (op.kind !== 'copy') throw new BuildError('E_INTERNAL', `A ${op.kind} node is not a step`);
    return this.#copy(step, op, key);
  }

  async #copy(step: Step, op: CopyOp, key: CacheKey): Promise<CommittedLayer> {
    const { library, mtimeRule, inlineMtime, emit, cache, hasher } = this.#options;
    const rooms = { library, mtimeRule, inlineMtime, emit, hasher, signal: this.#signal };
    const likely = (await cache.lookup(key))?.layer?.diffId; // with --no-cache a step mostly makes what is there
    const { selection: _files, ...others } = step;
    const isFresh = this.#cache.isOff(step.node);
    return copyStep({ ...step, ...rooms, op, basis: this.#key(others).key, isFresh, likely });
  }
}

const isDamage = (error: unknown): boolean => error instanceof BuildError && error.code === 'E_CORRUPT_STORE';
