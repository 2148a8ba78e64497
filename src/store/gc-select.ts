import type { CacheRecord, DiffId } from '../oci/index.ts';

/** A cache record and when it was last used (its file's mtime, in milliseconds since 1970). */
export interface UsedRecord {
  readonly record: CacheRecord;
  readonly usedMs: number;
}

export interface CacheLimits {
  /** Records that were last used before this moment go (milliseconds since 1970). */
  readonly unusedSinceMs?: number | undefined;
  /** What was used longest ago goes until everything fits in so many bytes. */
  readonly keepBytes?: number | undefined;
}

/** What is on disk whatever the cache keeps, and what each layer would add. */
export interface CacheCosts {
  readonly fixedBytes: number;
  readonly bytesOf: (diffId: DiffId) => number;
}

/**
 * The records that stay, last used first. A layer costs its bytes once, however many records name it; what an image needs
 * costs nothing, and its records stay. From the first record that does not fit, all that cost something go: what goes is
 * what was used longest ago, never what happens to be large.
 */
export function selectRecords(
  records: readonly UsedRecord[],
  { unusedSinceMs = 0, keepBytes = Number.POSITIVE_INFINITY }: CacheLimits,
  { fixedBytes, bytesOf }: CacheCosts,
): readonly CacheRecord[] {
  const byUse = records
    .filter(({ usedMs }) => usedMs >= unusedSinceMs)
    .sort((a, b) => b.usedMs - a.usedMs || (a.record.key < b.record.key ? -1 : 1));
  const counted = new Set<DiffId>();
  const kept: CacheRecord[] = [];
  let bytes = fixedBytes;
  for (const { record } of byUse) {
    const diffId = record.layer?.diffId;
    const cost = diffId === undefined || counted.has(diffId) ? 0 : bytesOf(diffId);
    if (cost > 0) bytes += cost;
    if (cost > 0 && bytes > keepBytes) continue;
    if (diffId !== undefined) counted.add(diffId);
    kept.push(record);
  }
  return kept;
}
