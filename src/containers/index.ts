/**
 * Containers for people who try their image: run, exec, ps, logs, stop, rm, unshare. There is no daemon: each container has a
 * monitor, this program inside the namespace, and ends with it. Owns `containers/` in the state directory: a record, which
 * the monitor alone writes, and a log. What is so now is told from the processes themselves, never from the record alone.
 */
export { execInContainer } from './exec.ts';
export { containerLogs, listContainers } from './list.ts';
export type { LogChunk } from './log.ts';
export type { ContainerSummary, ExecOptions, ProgramResult, RunOptions } from './options.ts';
export { formatPort, type PublishedPort, parsePublish } from './publish.ts';
export type { ContainerStatus } from './record.ts';
export { runContainer } from './run.ts';
export { type RemovedContainers, removeContainers, stopContainers } from './stop.ts';
export { Attached } from './streams.ts';
export { runUnshared } from './unshare.ts';
