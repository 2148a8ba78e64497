import type { BuildEvent, SourceRange } from '../../index.ts';
import { harmless } from './lines.ts';
import type { Paint } from './paint.ts';

/** `Containerfile:3:5` */
export const place = ({ source, start }: SourceRange): string =>
  `${harmless(source.name)}:${start.line}:${start.column}`;

/** One of the lint is one line: `--check` shows the place and what to do. */
export function warningLines(event: Extract<BuildEvent, { type: 'warning' }>, paint: Paint): string[] {
  if (event.rule !== undefined && event.range !== undefined) {
    const { source, start } = event.range;
    const line = `${event.rule}: ${event.message} (${source.name}:${start.line})`;
    return [`${paint.warning('warning:')} ${harmless(line)}`];
  }
  const where = event.range === undefined ? '' : `${place(event.range)}: `;
  const first = `${paint.warning('warning:')} ${where}${harmless(event.message)}`;
  return event.hint === undefined ? [first] : [first, `  next: ${harmless(event.hint)}`];
}
