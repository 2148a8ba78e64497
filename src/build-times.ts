import type { TimeOptions } from './build-options.ts';
import { BuildError } from './errors.ts';
import type { BuildGraph } from './graph/index.ts';
import type { MtimeRule } from './oci/index.ts';

/** The one time of a repeatable build, and what it does to files; undefined: the clock's time. */
export function mtimeRuleOf(
  { timestamp, sourceDateEpoch }: TimeOptions,
  [graph]: readonly BuildGraph[],
): MtimeRule | undefined {
  if (timestamp !== undefined) return { seconds: timestamp, applies: 'all' };
  const seconds = sourceDateEpoch ?? epochOf(graph?.sourceDateEpoch);
  return seconds === undefined ? undefined : { seconds, applies: 'later' };
}

/** BuildKit also takes "context" and the names of stages. */
function epochOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,12}$/.test(text)) return Number(text);
  throw new BuildError('E_UNSUPPORTED', `SOURCE_DATE_EPOCH "${text}" is not a number of seconds since 1970`, {
    hint: 'Write a number, for example of git log -1 --format=%ct; times of a context or a stage cannot be taken yet',
  });
}
