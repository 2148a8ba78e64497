import { type Containerfile, isOwnFrontEnd, type StageInstruction, suggest } from '../parser/index.ts';
import type { GraphWarning } from './graph.ts';
import { buildArg, isPredefined } from './scope.ts';

const declared = (instruction: StageInstruction): string[] =>
  instruction.kind === 'ARG' ? instruction.args.map(({ name }) => name) : [];

/** A `--build-arg` that no ARG of the file (nor of a trigger that ran) declares changes nothing: say so. */
export function unusedBuildArgs(
  file: Containerfile,
  triggers: readonly StageInstruction[],
  buildArgs: Readonly<Record<string, string>>,
): readonly GraphWarning[] {
  const instructions = [...file.globalArgs, ...file.stages.flatMap((stage) => stage.instructions), ...triggers];
  const names = new Set(instructions.flatMap(declared));
  // a name that is expanded may be any
  const isAnyName = [...names].some((name) => name.includes('$'));
  const unused = Object.keys(buildArgs)
    .filter((name) => !isAnyName && !names.has(name) && !isPredefined(name))
    .map((name) => {
      const near = suggest(name, names);
      const hint = near === undefined ? `Declare it with ARG ${name} where it is needed` : `Did you mean "${near}"?`;
      return { message: `Build argument "${name}" is not used: no ARG declares it`, hint };
    });
  return [...unused, ...foreignSyntax(buildArg(buildArgs, 'BUILDKIT_SYNTAX'))];
}

/** BUILDKIT_SYNTAX overrides `# syntax=`: another front-end would read the file there, and does not here. */
function foreignSyntax(reference: string | undefined): readonly GraphWarning[] {
  if (reference === undefined || isOwnFrontEnd(reference.trim().split(' ')[0] ?? '')) return [];
  const message = `Build argument "BUILDKIT_SYNTAX" is not used: no front-end "${reference}" here`;
  return [{ message, hint: 'The file is read as a Containerfile' }];
}
