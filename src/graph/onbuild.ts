import { parseTrigger, type StageInstruction } from '../parser/index.ts';
import type { BaseImage } from './options.ts';
import type { Origin, StageTable } from './stages.ts';

/** The ONBUILD triggers of an image, in order. Their escape character is `\`, whatever this file's is (BuildKit). */
export function imageTriggers({ config, reference }: BaseImage): readonly StageInstruction[] {
  const triggers = config.config?.OnBuild ?? [];
  return triggers.map((text) => parseTrigger(text, `ONBUILD of ${reference}`));
}

/** What runs right after FROM: triggers of the image, or of the stage, that a stage starts from. */
export function triggersOf(
  origin: Origin,
  table: StageTable,
  base: BaseImage | undefined,
): readonly StageInstruction[] {
  switch (origin.type) {
    case 'image':
      return base ? imageTriggers(base) : [];
    case 'stage':
      return table
        .syntax(origin.index)
        .instructions.flatMap((instruction) => (instruction.kind === 'ONBUILD' ? [instruction.instruction] : []));
    case 'scratch':
      return [];
  }
}
