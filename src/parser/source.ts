import type { SourceRange } from '../errors.ts';
import { trimmedEnd } from './located-text.ts';

/** Physical lines without their line ends and without a byte order mark. */
export function sourceLines(text: string): string[] {
  return text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line) => trimmedEnd(line, '\r'));
}

const LONGEST_SHOWN = 160;

/**
 * The line where `range` starts, one line before and after it, with line numbers, and carets under the range:
 *
 *       1 | FROM busybox
 *     > 2 | RUM echo a
 *         | ^^^
 *       3 | USER me
 */
export function codeFrame(range: SourceRange): string {
  const lines = sourceLines(range.source.text);
  // A file that ends with a newline has no further line.
  if (lines.length > 1 && lines.at(-1) === '') lines.pop();
  const first = Math.max(1, range.start.line - 1);
  const last = Math.min(lines.length, range.start.line + 1);
  const width = String(last).length;
  const frame: string[] = [];
  for (let number = first; number <= last; number += 1) {
    const line = lines[number - 1] ?? '';
    const marked = number === range.start.line;
    const from = marked ? Math.max(0, range.start.column - LONGEST_SHOWN / 2) : 0;
    frame.push(`${marked ? '>' : ' '} ${String(number).padStart(width)} | ${shown(line, from)}`.trimEnd());
    if (marked) frame.push(`  ${' '.repeat(width)} | ${carets(line, range, from)}`);
  }
  return frame.join('\n');
}

function shown(line: string, from: number): string {
  // Other control characters could drive the terminal.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be shown
  return line.slice(from, from + LONGEST_SHOWN).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\u00b7');
}

function carets(line: string, range: SourceRange, from: number): string {
  const start = range.start.column - 1 - from;
  const end = (range.end.line === range.start.line ? range.end.column - 1 : line.length) - from;
  const room = Math.min(end, line.length - from, LONGEST_SHOWN);
  // Tabs stay tabs, so that the caret stands under its character whatever the tab width is.
  const indent = line.slice(from, from + start).replace(/[^\t]/g, ' ');
  return indent + '^'.repeat(Math.max(1, room - start));
}
