import { type Containerfile, parseTrigger, type StageInstruction } from '../parser/index.ts';
import type { BaseImage } from './options.ts';
import type { Origin, StageTable } from './stages.ts';

/** The ONBUILD triggers of an image, in order. */
export function imageTriggers({ config, reference }: BaseImage, file: Containerfile): readonly StageInstruction[] {
  const triggers = config.config?.OnBuild ?? [];
  return triggers.map((text) => parseTrigger(text, `ONBUILD of ${reference}`, file.directives.escape));
}

/** What runs right after FROM: triggers of the image, or of the stage, that a stage starts from. */
export function triggersOf(
  origin: Origin,
  table: StageTable,
  image: { readonly base: BaseImage | undefined; readonly file: Containerfile },
): readonly StageInstruction[] {
  switch (origin.type) {
    case 'image':
      return image.base ? imageTriggers(image.base, image.file) : [];
    case 'stage':
      return table
        .syntax(origin.index)
        .instructions.flatMap((instruction) => (instruction.kind === 'ONBUILD' ? [instruction.instruction] : []));
    case 'scratch':
      return [];
  }
}
