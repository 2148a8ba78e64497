import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { CacheMounts } from '../../src/executor/cache-mounts.ts';
import { type ExecutorOptions, executeSteps, lookupSteps } from '../../src/executor/executor.ts';
import { FileHasher } from '../../src/executor/file-hasher.ts';
import type { MountSources } from '../../src/executor/ops/run-mounts.ts';
import type { ProcessSpec, SandboxResult } from '../../src/executor/sandbox/index.ts';
import { type BuildGraph, lower } from '../../src/graph/index.ts';
import type { LayerLibrary } from '../../src/layers/index.ts';
import type { CacheIndex, CacheKey, CacheRecord, DiffId, Layer } from '../../src/oci/index.ts';
import { parseContainerfile } from '../../src/parser/index.ts';
import { collect, layerOf } from '../layers/support.ts';
import { recordEvents } from '../support/event-recorder.ts';
import { memoryView } from '../support/memory-view.ts';
import { tempDir } from '../support/temp-dir.ts';
import { sourceRoot } from './support/copying.ts';

class MemoryCache implements CacheIndex {
  readonly records = new Map<CacheKey, CacheRecord>();

  async lookup(key: CacheKey): Promise<CacheRecord | undefined> {
    return this.records.get(key);
  }

  async record(record: CacheRecord): Promise<void> {
    this.records.set(record.key, record);
  }

  async latest(slot: string): Promise<CacheRecord | undefined> {
    return [...this.records.values()].findLast((record) => record.slot === slot);
  }
}

function noMountSources(root: string): MountSources {
  const unused = async () => {};
  const caches = new CacheMounts({
    root,
    owners: 'real',
    createActive: async () => root,
    remove: unused,
    measure: async () => 0,
  });
  return { caches, copyTree: unused, secret: () => undefined, openAgent: async () => undefined };
}

type Run = (command: string, signal: AbortSignal, spec: ProcessSpec) => Promise<number>;

/** Everything that a build needs, in memory; what RUN does is `run`, and its layer is its command's text. */
function machine(run: Run = async () => 0) {
  const layers = new Map<DiffId, Layer>();
  const ran: string[] = [];
  const used: DiffId[] = [];
  const keep = (bytes: Uint8Array) => {
    const layer = layerOf(bytes);
    layers.set(layer.diffId, layer);
    return { diffId: layer.diffId, sizeBytes: bytes.byteLength, isEmpty: false };
  };
  let last = '';
  const snapshot = async () => ({
    mount: { type: 'bind' as const, source: '/' },
    commit: async () => keep(Buffer.from(last)),
    [Symbol.asyncDispose]: async () => {},
  });
  const library: LayerLibrary = {
    snapshotter: { name: 'directory', prepare: snapshot, view: snapshot },
    find: async (diffId) => layers.get(diffId),
    commitTar: async (tar) => keep(await collect(tar)),
    importTar: async (tar) => keep(await collect(tar)),
    commitPatch: async (diffId) => Promise.reject(new Error(`no layer is patched here: ${diffId}`)),
    tarFile: async () => undefined,
    compressed: async (layer) => layer,
    view: async () => memoryView({}),
    settle: async () => {},
  };
  const directory = tempDir();
  const cache = new MemoryCache();
  const recorder = recordEvents();
  const controller = new AbortController();
  const sandbox = {
    name: 'fake',
    probe: async () => ({ ok: true }) as const,
    run: async (spec: ProcessSpec, _root: unknown, _io: unknown, signal: AbortSignal): Promise<SandboxResult> => {
      const command = spec.argv.at(-1) ?? '';
      ran.push(command);
      const code = await run(command, signal, spec);
      last = command;
      return { status: { kind: 'exited', code }, stubs: [] };
    },
  };
  const options = (over: Partial<ExecutorOptions> = {}): ExecutorOptions => ({
    library,
    cache,
    sandbox,
    hasher: new FileHasher(join(directory, 'cache')),
    baseLayers: () => [],
    sourceRoot: async () => sourceRoot(directory),
    mountRoot: async () => ({ path: directory, [Symbol.asyncDispose]: async () => {} }),
    mountSources: noMountSources(directory),
    markUsed: async (chain) => void used.push(...chain.map(({ diffId }) => diffId)),
    emit: recorder.emit,
    signal: controller.signal,
    jobs: 4,
    cachePolicy: { noCache: false },
    mtimeRule: undefined,
    inlineMtime: 0,
    ...over,
  });
  return { options, cache, ran, used, directory, recorder, controller };
}

function graphOf(text: string, target?: string): BuildGraph {
  const platform = { os: 'linux', architecture: 'amd64' } as const;
  const file = parseContainerfile({ name: 'Containerfile', text });
  const lowering = {
    target,
    buildArgs: {},
    labels: {},
    platform,
    buildPlatform: platform,
    network: 'default',
    contexts: new Map(),
  } as const;
  return lower(file, lowering, new Map());
}

/** Three stages that nothing joins but the last. */
const THREE = [
  'FROM scratch AS a\nRUN one',
  'FROM scratch AS b\nRUN two',
  'FROM scratch\nRUN three\nCOPY --from=a / /a\nCOPY --from=b / /b',
].join('\n');

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

it('runs what several targets need once, and bounds them together', async () => {
  let now = 0;
  let most = 0;
  const { options, ran } = machine(async () => {
    most = Math.max(most, ++now);
    await sleep(10);
    now--;
    return 0;
  });
  const text = 'FROM scratch AS base\nRUN shared\nFROM base AS a\nRUN one\nFROM base AS b\nRUN two';
  const targets = ['a', 'b'].map((target) => graphOf(text, target).target);
  const { results } = await executeSteps(targets, options({ jobs: 1 }));
  expect(ran.toSorted()).toEqual(['one', 'shared', 'two']);
  expect(most).toBe(1);
  expect(targets.map(({ id }) => results.get(id)?.chain.length)).toEqual([2, 2]);
});

it.each([1, 2, 3])('runs independent steps side by side, %i at most', async (jobs) => {
  let now = 0;
  let most = 0;
  const { options } = machine(async () => {
    most = Math.max(most, ++now);
    await sleep(10);
    now--;
    return 0;
  });
  await executeSteps([graphOf(THREE).target], options({ jobs }));
  expect(most).toBe(jobs);
});

it('shows the first failure, stops the others, and nothing runs on afterwards', async () => {
  let running = 0;
  const { options, cache, ran } = machine(async (command, signal) => {
    if (command === 'one') return 7;
    running++;
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    await sleep(10);
    running--;
    throw new BuildError('E_CANCELLED', 'Cancelled');
  });
  const building = executeSteps([graphOf(`${THREE}\nRUN after`).target], options());
  await expect(building).rejects.toMatchObject({
    code: 'E_RUN_FAILED',
    fields: { exitStatus: 7 },
    range: { start: { line: 2 } },
    message: 'RUN failed with exit status 7: one',
  });
  expect(running).toBe(0);
  expect(ran).not.toContain('after');
  expect(cache.records.size).toBe(0);
});

it('stops when it is cancelled, with the reason, and starts nothing more', async () => {
  const { options, ran, controller } = machine(async () => {
    controller.abort(new Error('enough'));
    return 0;
  });
  const building = executeSteps([graphOf('FROM scratch\nRUN one\nRUN two').target], options());
  await expect(building).rejects.toThrow('enough');
  expect(ran).toEqual(['one']);
});

it('does not run what the cache has, and finds out without running anything', async () => {
  const { options, ran, recorder } = machine();
  const { target } = graphOf(THREE);
  expect((await lookupSteps([target], options())).missing).toHaveLength(5);
  expect([ran, recorder.events]).toEqual([[], []]);
  const first = await executeSteps([target], options());
  expect(first.missing).toEqual([]);
  ran.length = 0;
  expect((await lookupSteps([target], options())).missing).toEqual([]);
  const second = await executeSteps([target], options());
  expect(ran).toEqual([]);
  expect(second.results.get(target.id)?.chain.map(({ diffId }) => diffId)).toEqual(
    first.results.get(target.id)?.chain.map(({ diffId }) => diffId),
  );
  expect([...second.results.values()].every(({ isCached }) => isCached)).toBe(true);
});

it('runs everything with --no-cache, and remembers it', async () => {
  const { options, ran } = machine();
  const { target } = graphOf('FROM scratch\nRUN one');
  await executeSteps([target], options());
  await executeSteps([target], options({ cachePolicy: { noCache: true } }));
  expect(ran).toEqual(['one', 'one']);
});

it('runs a step once that two stages need', async () => {
  const { options, ran } = machine();
  await executeSteps(
    [graphOf('FROM scratch AS a\nRUN one\nFROM a AS b\nRUN two\nFROM a\nCOPY --from=b / /').target],
    options(),
  );
  expect(ran).toEqual(['one', 'two']);
});

it('says why a step is not taken from the cache', async () => {
  const { options, directory, recorder } = machine();
  writeFileSync(join(directory, 'file'), '1');
  const { target } = graphOf('FROM scratch\nCOPY file /\nRUN one');
  await executeSteps([target], options());
  writeFileSync(join(directory, 'file'), '22');
  await executeSteps([target], options());
  const reasons = recorder.events.flatMap((event) =>
    event.type === 'step.miss' && !event.isExpected ? event.reason : [],
  );
  expect(reasons).toEqual(['1 file changed (file content)', 'the step before it has another result']);
});

it('makes other layers for another SOURCE_DATE_EPOCH', async () => {
  const { options, ran, recorder } = machine();
  const { target } = graphOf('FROM scratch\nRUN one');
  await executeSteps([target], options({ mtimeRule: { seconds: 1, applies: 'later' } }));
  await executeSteps([target], options({ mtimeRule: { seconds: 2, applies: 'later' } }));
  expect(ran).toEqual(['one', 'one']);
  expect(recorder.events).toContainEqual(expect.objectContaining({ reason: 'SOURCE_DATE_EPOCH changed' }));
});

it('marks the layers that a step works on before it runs', async () => {
  const { options, used } = machine(async (command) => {
    if (command === 'two') expect(used).toHaveLength(1);
    return 0;
  });
  await executeSteps([graphOf('FROM scratch\nRUN one\nRUN two').target], options());
  expect(used).toHaveLength(1);
});

it('keeps no record of a step that failed', async () => {
  const { options, cache } = machine(async (command) => (command === 'two' ? 1 : 0));
  await expect(executeSteps([graphOf('FROM scratch\nRUN one\nRUN two').target], options())).rejects.toThrow();
  expect(cache.records.size).toBe(1);
});

it.each([
  ['RUN <<EOF\nset -e\n# why\nmake all\nmake install\nEOF\n', 'make all ...'],
  ['RUN <<EOF\n#!/usr/bin/python\nprint(1)\nEOF\n', 'print(1)'],
  ['RUN ["python", "x.py", "--fast"]\n', 'python x.py --fast'],
  ['RUN make all\n', 'make all'],
])('shows the command of a failing %j', async (text, shown) => {
  const { options } = machine(async () => 1);
  await expect(executeSteps([graphOf(`FROM scratch\n${text}`).target], options())).rejects.toThrow(
    `RUN failed with exit status 1: ${shown}`,
  );
});

it('works on once more where something of the store was damaged, which is put away by then', async () => {
  const { options } = machine();
  const { library } = options();
  const damage = new BuildError('E_CORRUPT_STORE', 'Cannot read the index of a layer: it is damaged');
  const damaged = (times: number) => {
    let left = times;
    const view: LayerLibrary['view'] = async (chain) => {
      if (left-- > 0) throw damage;
      return library.view(chain);
    };
    return options({ library: { ...library, view } });
  };
  const targets = (line: string) => [graphOf(`FROM scratch\n${line}`).target];
  const { results } = await executeSteps(targets('WORKDIR /a'), damaged(1));
  expect([...results.values()].at(-1)?.hasLayer).toBe(true);
  await expect(executeSteps(targets('WORKDIR /b'), damaged(2))).rejects.toMatchObject({ code: damage.code });
  await expect(executeSteps(targets('RUN x'), damaged(1))).rejects.toMatchObject({ code: damage.code });
});
