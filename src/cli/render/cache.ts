import type { BuildEvent } from '../../index.ts';
import { harmless } from './lines.ts';

type Cached = Extract<BuildEvent, { type: 'step.cached' }>;
type Miss = Extract<BuildEvent, { type: 'step.miss' }>;

/** More would hide the build. */
const MOST_FILES = 20;

/** `cached`, and where the user asked for it, why. */
export function cachedText({ level, created, source }: Cached, explains: boolean): string {
  if (!explains) return 'cached';
  const why =
    level === 'inputs'
      ? 'nothing that it is given has changed'
      : 'other layers are below, but the files that it copies are the same';
  const from = source === undefined ? '' : `, came with "${harmless(source)}"`;
  return `cached: ${why} (made ${created}${from})`;
}

/** Nothing for what only `--explain-cache` asks for. */
export function missLines({ reason, isExpected, files }: Miss, explains: boolean): readonly string[] {
  if (!explains) return isExpected ? [] : [`not cached: ${harmless(reason)}`];
  if (files === undefined || files.length < 2) return [`not cached: ${harmless(reason)}`];
  const named = files.slice(0, MOST_FILES).map(({ path, change }) => `  ${harmless(path)}: ${change}`);
  const more = files.length > MOST_FILES ? [`  and ${files.length - MOST_FILES} more`] : [];
  return [`not cached: ${harmless(reason)}`, ...named, ...more];
}
