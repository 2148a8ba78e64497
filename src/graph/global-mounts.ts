import type { MountSyntax, StageInstruction } from '../parser/index.ts';

/** Every RUN has the mounts of the command line before its own. */
export const withMounts = (
  instructions: readonly StageInstruction[],
  mounts: readonly MountSyntax[] = [],
): readonly StageInstruction[] =>
  mounts.length === 0
    ? instructions
    : instructions.map((instruction) =>
        instruction.kind === 'RUN' ? { ...instruction, mounts: [...mounts, ...instruction.mounts] } : instruction,
      );
