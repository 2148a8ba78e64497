/**
 * The public interface: one function an operation, plain data in and out, `BuildError` thrown. The command line uses
 * nothing else.
 */
export type * from './api.ts';
export { defaultRoot } from './assembly.ts';
export { build } from './build.ts';
export * from './containers/index.ts';
export {
  BuildError,
  type BuildErrorOptions,
  type ErrorCode,
  EXIT_CODES,
  hintForOpenFiles,
  type SourceRange,
  systemErrorCode,
} from './errors.ts';
export type { BuildEvent, EventSink, StepSummary } from './events.ts';
export { ISOLATIONS, NETWORK_CHOICES } from './executor/index.ts';
export { diffImages } from './image-diff.ts';
export { inspectImage, listImages, pull, push, removeImages, tagImage } from './images.ts';
export { importRootfs } from './import-rootfs.ts';
export { info } from './info.ts';
export { load } from './load.ts';
export { login, logout } from './logins.ts';
export type { Compression } from './oci/index.ts';
export { codeFrame, parseDuration, splitCsv } from './parser/index.ts';
export { prune } from './prune.ts';
export { stateUsage, verifyState } from './state-directory.ts';
export type { UserStreams, UserTerminal } from './user-streams.ts';
