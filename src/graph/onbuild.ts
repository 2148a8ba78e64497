import { type Containerfile, parseTrigger, type StageInstruction } from '../parser/index.ts';
import type { BaseImage, BaseImages } from './options.ts';
import type { Origin, StageTable } from './stages.ts';

/** The ONBUILD triggers of an image, in order. */
function imageTriggers({ config, reference }: BaseImage, file: Containerfile): readonly StageInstruction[] {
  const triggers = config.config?.OnBuild ?? [];
  return triggers.map((text) => parseTrigger(text, `ONBUILD of ${reference}`, file.directives.escape));
}

interface Known {
  readonly file: Containerfile;
  readonly images: BaseImages;
}

/**
 * What runs right after FROM: triggers of the image, or of the stage, that a stage starts from. A stage that a named
 * context replaces is that context as it is; a stage that starts from it runs the triggers.
 */
export function triggersOf(index: number, table: StageTable, known: Known): readonly StageInstruction[] {
  return table.isReplaced(index) ? [] : triggersFrom(table.origin(index), table, known);
}

function triggersFrom(origin: Origin, table: StageTable, known: Known): readonly StageInstruction[] {
  switch (origin.type) {
    case 'image': {
      const image = known.images.get(origin.key);
      return image ? imageTriggers(image, known.file) : [];
    }
    case 'stage':
      if (table.isReplaced(origin.index)) return triggersFrom(table.origin(origin.index), table, known);
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
