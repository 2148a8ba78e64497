import type { Containerfile, StageInstruction, Word } from '../parser/index.ts';
import { withMounts } from './global-mounts.ts';
import { mountFrom } from './mount-fields.ts';
import { triggersOf } from './onbuild.ts';
import type { BaseImages, LowerOptions, RequiredImage } from './options.ts';
import { type Origin, StageTable } from './stages.ts';

/**
 * The images that the target needs and `images` lacks. A base's ONBUILD triggers may need more of them: call again with
 * what was found until the answer is empty. Throws `E_UNKNOWN_STAGE`, `E_EXPANSION`, `E_BAD_REFERENCE`.
 */
export function requiredImages(
  file: Containerfile,
  options: LowerOptions,
  images: BaseImages,
): readonly RequiredImage[] {
  const table = new StageTable(file, options);
  const missing = new Map<string, RequiredImage>();
  const queue: Origin[] = [{ type: 'stage', index: table.target }];
  const seen = new Set<number>();
  for (let origin = queue.pop(); origin; origin = queue.pop()) {
    if (origin.type === 'image') {
      const { name, platform, range, key } = origin;
      if (!images.has(key) && !missing.has(key)) missing.set(key, { name, platform, range });
    } else if (origin.type === 'stage' && !seen.has(origin.index)) {
      seen.add(origin.index);
      queue.push(...originsOf(origin.index, table, { images, mounts: options.mounts }).toReversed());
    }
  }
  return [...missing.values()];
}

interface Known {
  readonly images: BaseImages;
  readonly mounts: LowerOptions['mounts'];
}

/** Everything that one stage reads from, itself excluded. */
function originsOf(index: number, table: StageTable, { images, mounts }: Known): Origin[] {
  const origin = table.origin(index);
  const triggers = triggersOf(index, table, images);
  const all = withMounts([...triggers, ...table.syntax(index).instructions], mounts);
  const sources = all.flatMap(sourcesOf);
  return [origin, ...sources.map((from) => table.copyOrigin(from, index))];
}

/** What an instruction names by `--from` or a mount's `from`. */
function sourcesOf(instruction: StageInstruction): readonly Word[] {
  if (instruction.kind === 'COPY') return instruction.from ? [instruction.from] : [];
  return instruction.kind === 'RUN' ? instruction.mounts.flatMap((mount) => mountFrom(mount) ?? []) : [];
}
