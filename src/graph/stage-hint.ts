import { type Containerfile, suggest } from '../parser/index.ts';

/**
 * What to do about the name of an image that cannot be had, where a stage or one of the named `contexts` was probably
 * meant; undefined: nothing like a name of those.
 */
export function stageHint(file: Containerfile, name: string, contexts: readonly string[] = []): string | undefined {
  if (/[.:/@]/.test(name)) return undefined;
  const stages = file.stages.flatMap(({ from }) => (from.name === undefined ? [] : [{ name: from.name, from }]));
  const later = stages.find((stage) => stage.name === name.toLowerCase());
  if (later) {
    const { source, start } = later.from.range;
    return `The stage "${later.name}" begins at ${source.name}:${start.line}: move it before the place that needs it`;
  }
  const near = suggest(
    name,
    stages.map((stage) => stage.name),
  );
  const context = near === undefined ? suggest(name, contexts) : undefined;
  if (context !== undefined) {
    return `Did you mean the build context "${context}"? None is called "${name}", so it was taken for an image`;
  }
  return near === undefined
    ? undefined
    : `Did you mean the stage "${near}"? No stage is called "${name}", so it was taken for an image`;
}
