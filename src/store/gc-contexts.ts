import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sweep } from './gc-sweep.ts';
import { namesIn } from './state-file.ts';

/** A context that no build has used for so long is not missed. */
const UNUSED_MS = 30 * 24 * 60 * 60 * 1000;
/** Of a file's name: it says which context it speaks of. */
const CONTEXT_DIGITS = 32;

export interface ContextSweep {
  /** Also those that were used a moment ago. */
  readonly all?: boolean | undefined;
  /** Milliseconds since 1970: what was last used before goes; default: 30 days ago. */
  readonly unusedSinceMs?: number | undefined;
}

/** What is remembered of contexts: all of one, or nothing. */
export async function sweepContexts(
  directory: string,
  { all = false, unusedSinceMs = Date.now() - UNUSED_MS }: ContextSweep,
  sweep: Sweep,
): Promise<void> {
  const lastUse = new Map<string, number>();
  const names = await namesIn(directory);
  for (const name of names) {
    const used = (await stat(join(directory, name)).catch(() => undefined))?.mtimeMs ?? 0;
    const context = name.slice(0, CONTEXT_DIGITS);
    lastUse.set(context, Math.max(used, lastUse.get(context) ?? 0));
  }
  for (const name of names) {
    const used = lastUse.get(name.slice(0, CONTEXT_DIGITS)) ?? 0;
    if (all || used < unusedSinceMs) await sweep.remove(join(directory, name), 'counted');
  }
}
