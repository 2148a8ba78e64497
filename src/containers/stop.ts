import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SelfCommand, SessionOptions } from '../api.ts';
import { delegate, isRoot, stateDirectory, withWorkspace } from '../assembly.ts';
import { BuildError } from '../errors.ts';
import { isInsideNamespace } from '../executor/index.ts';
import { chooseNamespace } from '../rung.ts';
import { type Containers, containersOf } from './container-store.ts';
import { type ContainerRecord, livenessOf, type ProcessMark, statusOf } from './record.ts';
import { sweepTransient } from './sweep.ts';

const POLL_MS = 20;
/** What a monitor needs to remove the root of a container that has ended. */
const CLEAN_UP_MS = 60_000;

/** Sends each its stop signal, and after the time SIGKILL. Returns the names as given, each as soon as it has ended. */
export async function* stopContainers(
  names: readonly string[],
  { seconds }: { readonly seconds: number },
  options: SessionOptions,
): AsyncGenerator<string> {
  const containers = containersOf(stateDirectory(options));
  const records = await Promise.all(names.map((name) => containers.find(name)));
  const stopping = records.map((record) => stop(containers, record, seconds * 1000));
  for (const done of stopping) done.catch(() => {}); // each is awaited below
  for (const [index, done] of stopping.entries()) {
    await done;
    yield names[index] ?? '';
  }
}

async function stop(containers: Containers, record: ContainerRecord, patienceMs: number): Promise<void> {
  requireHere(record);
  if (record.state.kind === 'running') signal(record.state.program, signalNumber(record.stopSignal));
  else if (record.state.kind === 'starting') signal(record.monitor, constants.signals.SIGTERM);
  if (!(await isGone(record.monitor, patienceMs))) await kill(containers, record);
}

/** Everything of it at once, by its PID 1; the monitor cleans up. */
async function kill(containers: Containers, record: ContainerRecord): Promise<void> {
  // it may have gone on from `starting`
  const { state } = (await containers.list()).find(({ id }) => id === record.id) ?? record;
  if (state.kind === 'running') signal(state.init, constants.signals.SIGKILL);
  else signal(record.monitor, constants.signals.SIGTERM);
  if (await isGone(record.monitor, CLEAN_UP_MS)) return;
  throw new BuildError('E_CONTAINER', `Cannot stop "${record.name}": its monitor (pid ${record.monitor.pid}) goes on`, {
    hint: `Kill it: kill -9 ${record.monitor.pid}`,
  });
}

function requireHere(record: ContainerRecord): void {
  if (statusOf(record) !== 'elsewhere') return;
  throw new BuildError('E_CONTAINER', `Cannot reach "${record.name}": it runs in another pid namespace`, {
    hint: 'Run this command where the container was started',
  });
}

function signal(mark: ProcessMark, number: number): void {
  if (livenessOf(mark) !== 'alive') return;
  try {
    process.kill(mark.pid, number);
  } catch {
    // ESRCH: it has ended in this moment
  }
}

async function isGone(mark: ProcessMark, patienceMs: number): Promise<boolean> {
  for (const deadline = Date.now() + patienceMs; ; ) {
    if (livenessOf(mark) !== 'alive') return true;
    if (Date.now() >= deadline) return false;
    await sleep(POLL_MS);
  }
}

const RTMIN = 34;

/** STOPSIGNAL: a number, or a name with or without SIG. */
export function signalNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const name = `SIG${text.toUpperCase().replace(/^SIG/, '')}`;
  const [, base, offset = '0'] = /^SIG(RTMIN|RTMAX)([+-]\d+)?$/.exec(name) ?? [];
  if (base !== undefined) return (base === 'RTMIN' ? RTMIN : 64) + Number(offset);
  return Object.entries(constants.signals).find(([known]) => known === name)?.[1] ?? constants.signals.SIGTERM;
}

export interface RemovedContainers {
  readonly removed: readonly string[];
  /** Names that could not be removed. */
  readonly failures: readonly BuildError[];
}

/** Removes the inner run's part only: what killed monitors have left. */
const STALE_ONLY = 'TSBUILD_RM_STALE';

/** Removes containers that have ended, with `force` others too. One that fails does not keep the others. */
export async function removeContainers(
  names: readonly string[],
  { force }: { readonly force: boolean },
  options: SessionOptions & { readonly self: SelfCommand },
): Promise<RemovedContainers> {
  if (isInsideNamespace(options.env) && options.env[STALE_ONLY] === '1') {
    await withWorkspace(options, (workspace) => workspace.removeStale());
    return { removed: [], failures: [] };
  }
  const containers = containersOf(stateDirectory(options));
  const removed: string[] = [];
  const failures: BuildError[] = [];
  let isStale = false;
  for (const name of names) {
    try {
      const record = await containers.find(name);
      isStale ||= statusOf(record) === 'lost';
      await removeOne(containers, record, force);
      removed.push(name);
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      if (!(force && error.code === 'E_NO_CONTAINER')) failures.push(error);
    }
  }
  await sweepTransient(containers);
  if (isStale) await removeStaleRoots(options);
  return { removed, failures };
}

async function removeOne(containers: Containers, record: ContainerRecord, force: boolean): Promise<void> {
  requireHere(record);
  const status = statusOf(record);
  if (status === 'running' || status === 'starting') {
    if (!force) {
      throw new BuildError('E_CONTAINER', `Cannot remove "${record.name}": it is ${status}`, {
        hint: `Stop it first (tsbuild stop ${record.name}), or use rm -f`,
      });
    }
    await kill(containers, record);
  } else if (!(await isGone(record.monitor, CLEAN_UP_MS))) await kill(containers, record);
  // --rm has been faster, or another rm
  if (!containers.remove(record.id) && !record.isTransient) {
    throw new BuildError('E_NO_CONTAINER', `"${record.name}" was removed meanwhile`, { hint: 'Nothing is left to do' });
  }
}

/** The root of a container whose monitor was killed belongs to sub-ids of an ordinary user. */
async function removeStaleRoots(options: SessionOptions & { readonly self: SelfCommand }): Promise<void> {
  if (isRoot()) await withWorkspace(options, async () => {});
  else await delegate(options, { env: { [STALE_ONLY]: '1' }, rung: await chooseNamespace(options) });
}
