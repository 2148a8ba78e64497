import { formatDuration } from './format.ts';
import type { BuiltSummary } from './renderer.ts';

/** `image0: 3 steps, all cached, 0.08 s` */
export function summaryLine({ title, steps, cached, durationMs }: BuiltSummary): string {
  return `${title}: ${countSteps(steps, cached)}, ${formatDuration(durationMs)}`;
}

function countSteps(steps: number, cached: number): string {
  if (steps === 0) return 'no steps';
  const count = steps === 1 ? '1 step' : `${steps} steps`;
  if (cached === steps) return `${count}, all cached`;
  return cached === 0 ? `${count}, none cached` : `${count}, ${cached} cached`;
}
