/**
 * The build graph: what a Containerfile means. Owns stages and their names, the scope of ARG and ENV, the image config
 * and history that instructions add up to, the ops that make or need a filesystem, and the keys of their results.
 * Pure and synchronous, no I/O: images are resolved by the caller (`requiredImages`, until nothing is missing), then
 * `lower` gives the graph of the target. Only RUN, COPY, ADD and a trailing WORKDIR are steps; everything else folds
 * into the config, which is computed anew on every build.
 */
export { type CacheInputs, cacheKey } from './cache-key.ts';
export { type ModeChange, parseChmod } from './chmod.ts';
export { dumpGraph } from './dump.ts';
export { explainMiss, type MissComponent, type MissReason } from './explain-miss.ts';
export { type GitUrl, parseGitUrl } from './git-url.ts';
export * from './graph.ts';
export { type LintInput, type LintResult, lint, lintUnreadable } from './lint/lint.ts';
export { mergedLint } from './lint/merge.ts';
export { lintJson, lintText } from './lint/print.ts';
export { RULES as LINT_RULES } from './lint/rules.ts';
export { lower } from './lower.ts';
export { contextKey, type NamedContext, type NamedContexts } from './named-contexts.ts';
export { isStep, sourcesOf, stepsOf } from './nodes.ts';
export * from './op.ts';
export {
  type BaseImage,
  type BaseImages,
  type ImageEdits,
  imageKey,
  type LowerOptions,
  NO_EDITS,
  type RequiredImage,
} from './options.ts';
export { type Outline, outline } from './outline.ts';
export { outlineJson, outlineText } from './outline-print.ts';
export { parseMeantPlatform } from './platform-name.ts';
export { fileName, withoutCredentials } from './remote-source.ts';
export { requiredImages } from './required-images.ts';
export { stageHint } from './stage-hint.ts';
export { targetsJson, targetsText } from './targets.ts';
