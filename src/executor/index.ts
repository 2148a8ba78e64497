/**
 * Runs the build graph: cache look-ups, then one op a step (RUN in the sandbox, COPY and ADD straight to a tar), in
 * parallel where steps are independent; then the image from the results. Knows the store and registries only as ports
 * (`LayerLibrary`, `CacheIndex`, layers given by `build.ts`). Never prints: it emits events.
 */
export { type AssembleOptions, assembleImage, forFormat } from './assemble.ts';
export { CacheMounts } from './cache-mounts.ts';
export {
  type BuildInput,
  competingIgnoreFiles,
  contextRoot,
  namedContextRoot,
  openContext,
  readContainerfiles,
} from './context.ts';
export { defaultJobs, usableMemory } from './default-jobs.ts';
export {
  type Execution,
  type ExecutorOptions,
  executeSteps,
  lookupSteps,
  type MountedRoot,
  type StepResult,
} from './executor.ts';
export { FileHasher, statCacheName } from './file-hasher.ts';
export type { InspectFailure, RunSettings } from './run-settings.ts';
export * from './sandbox/index.ts';
export type { SourceRoot } from './source-root.ts';
export { SshAgents, type SshIdentity } from './ssh/index.ts';
export type { CachePolicy } from './step-cache.ts';
export { StepLocks } from './step-locks.ts';
export { type ProcessUser, resolveUser, resolveUserFrom } from './users.ts';
