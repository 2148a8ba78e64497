import type { SessionOptions } from '../api.ts';
import { stateDirectory } from '../assembly.ts';
import { containersOf } from './container-store.ts';
import { type LogChunk, readLog } from './log.ts';
import type { ContainerSummary } from './options.ts';
import { type ContainerRecord, statusOf } from './record.ts';
import { sweepTransient } from './sweep.ts';

/** The newest first; `all`: those that do not run, too. */
export async function listContainers(
  { all }: { readonly all: boolean },
  options: SessionOptions,
): Promise<readonly ContainerSummary[]> {
  const containers = containersOf(stateDirectory(options));
  await sweepTransient(containers);
  const summaries = (await containers.list()).map(summaryOf);
  return all ? summaries : summaries.filter(({ status }) => ['starting', 'running', 'elsewhere'].includes(status));
}

function summaryOf(record: ContainerRecord): ContainerSummary {
  const { id, name, image, imageId, argv, created, ports, state } = record;
  const common = { id, name, image, imageId, command: argv, created, status: statusOf(record), ports };
  switch (state.kind) {
    case 'starting':
      return common;
    case 'running':
      return { ...common, started: state.started };
    case 'exited':
      return { ...common, ended: state.ended, exitCode: state.exitCode };
    default:
      return state satisfies never;
  }
}

/** What the container's programs wrote, as far as it was kept (see `LOG_BYTES`). */
export async function* containerLogs(
  name: string,
  { follow }: { readonly follow: boolean },
  options: SessionOptions,
): AsyncGenerator<LogChunk> {
  const containers = containersOf(stateDirectory(options));
  const { id } = await containers.find(name);
  const isEnded = async (): Promise<boolean> => {
    if (!follow) return true;
    const record = (await containers.list()).find((candidate) => candidate.id === id);
    return record === undefined || !['starting', 'running', 'elsewhere'].includes(statusOf(record));
  };
  yield* readLog(containers.directoryOf(id), { isEnded, signal: options.signal });
}
