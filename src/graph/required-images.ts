import type { Containerfile } from '../parser/index.ts';
import { triggersOf } from './onbuild.ts';
import type { BaseImages, LowerOptions, RequiredImage } from './options.ts';
import { keyOf, type Origin, StageTable } from './stages.ts';

/**
 * The images that the target needs and `images` lacks. A base's ONBUILD triggers may need more of them: call again with
 * what was found until the answer is empty. Throws `E_UNKNOWN_STAGE`, `E_EXPANSION`, `E_BAD_REFERENCE`.
 */
export function requiredImages(
  file: Containerfile,
  options: LowerOptions,
  images: BaseImages,
): readonly RequiredImage[] {
  const table = new StageTable(file, options, () => {}); // lower() reports the same warnings
  const missing = new Map<string, RequiredImage>();
  const queue: Origin[] = [{ type: 'stage', index: table.target }];
  const seen = new Set<number>();
  for (let origin = queue.pop(); origin; origin = queue.pop()) {
    if (origin.type === 'image') {
      const { name, platform, range } = origin;
      const key = keyOf(origin);
      if (!images.has(key) && !missing.has(key)) missing.set(key, { name, platform, range });
    } else if (origin.type === 'stage' && !seen.has(origin.index)) {
      seen.add(origin.index);
      queue.push(...originsOf(origin.index, table, images).toReversed());
    }
  }
  return [...missing.values()];
}

/** Everything that one stage reads from, itself excluded. */
function originsOf(index: number, table: StageTable, images: BaseImages): Origin[] {
  const origin = table.origin(index);
  const base = origin.type === 'image' ? images.get(keyOf(origin)) : undefined;
  const triggers = triggersOf(origin, table, base);
  const copies = [...triggers, ...table.syntax(index).instructions].flatMap((instruction) =>
    instruction.kind === 'COPY' && instruction.from ? [table.copyOrigin(instruction.from, index)] : [],
  );
  return [origin, ...copies];
}
