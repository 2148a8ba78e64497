import { parseTrigger, type StageInstruction } from '../parser/index.ts';
import type { BaseImage, BaseImages } from './options.ts';
import type { Origin, StageTable } from './stages.ts';

/** The ONBUILD triggers of an image, in order. Their escape character is `\`, whatever this file's is (BuildKit). */
function imageTriggers({ config, reference }: BaseImage): readonly StageInstruction[] {
  const triggers = config.config?.OnBuild ?? [];
  return triggers.map((text) => parseTrigger(text, `ONBUILD of ${reference}`));
}

/**
 * What runs right after FROM: triggers of the image, or of the stage, that a stage starts from. A stage that a named
 * context replaces is that context as it is; a stage that starts from it runs the triggers.
 */
export function triggersOf(index: number, table: StageTable, images: BaseImages): readonly StageInstruction[] {
  return table.isReplaced(index) ? [] : triggersFrom(table.origin(index), table, images);
}

function triggersFrom(origin: Origin, table: StageTable, images: BaseImages): readonly StageInstruction[] {
  switch (origin.type) {
    case 'image': {
      const image = images.get(origin.key);
      return image ? imageTriggers(image) : [];
    }
    case 'stage':
      if (table.isReplaced(origin.index)) return triggersFrom(table.origin(origin.index), table, images);
      return table
        .syntax(origin.index)
        .instructions.flatMap((instruction) => (instruction.kind === 'ONBUILD' ? [instruction.instruction] : []));
    case 'files':
    case 'scratch':
      return [];
    default:
      throw origin satisfies never;
  }
}
