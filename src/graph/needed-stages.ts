import type { StageInstruction, Word } from '../parser/index.ts';
import { mountFrom } from './mount-fields.ts';
import { triggersOf } from './onbuild.ts';
import type { BaseImages } from './options.ts';
import type { StageTable } from './stages.ts';

/** The stages that stage `target` needs, itself included, in the order of the file. Triggers of images that are not in `images` are not seen. Throws `E_UNKNOWN_STAGE`. */
export function neededStages(target: number, table: StageTable, images: BaseImages): readonly number[] {
  const seen = new Set<number>();
  const queue = [target];
  for (let index = queue.pop(); index !== undefined; index = queue.pop()) {
    if (seen.has(index)) continue;
    seen.add(index);
    queue.push(...stagesReadBy(index, table, images));
  }
  return [...seen].sort((a, b) => a - b);
}

/** What a stage does: the triggers of what it starts from, then its own instructions. */
export function instructionsOf(index: number, table: StageTable, images: BaseImages): StageInstruction[] {
  return [...triggersOf(index, table, images), ...table.syntax(index).instructions];
}

function stagesReadBy(index: number, table: StageTable, images: BaseImages): number[] {
  const sources = instructionsOf(index, table, images).flatMap(namedSources);
  const origins = [table.origin(index), ...sources.map((from) => table.copyOrigin(from, index))];
  return origins.flatMap((origin) => (origin.type === 'stage' ? [origin.index] : []));
}

/** What `--from` of COPY and `from=` of a mount name. */
export function namedSources(instruction: StageInstruction): readonly Word[] {
  if (instruction.kind === 'COPY') return instruction.from ? [instruction.from] : [];
  if (instruction.kind !== 'RUN') return [];
  return instruction.mounts.flatMap((mount) => mountFrom(mount) ?? []);
}
