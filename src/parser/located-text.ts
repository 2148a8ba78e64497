import type { SourceFile, SourcePosition, SourceRange } from '../errors.ts';

/** From `offset` on (up to the next segment) the joined text runs parallel to the source from `position` on. */
export interface Segment {
  readonly offset: number;
  readonly position: SourcePosition;
}

/** One logical line, joined from pieces of physical lines, that knows where each of its characters stands. */
export interface LocatedText {
  readonly source: SourceFile;
  readonly text: string;
  readonly segments: readonly Segment[];
}

/** A half-open piece of a logical line. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export function rangeAt(text: LocatedText, span: Span): SourceRange {
  const start = positionAt(text, span.from);
  // The end belongs to the last character, not to the physical line that follows it.
  const end = span.to > span.from ? nextColumn(positionAt(text, span.to - 1)) : start;
  return { source: text.source, start, end };
}

function positionAt(text: LocatedText, offset: number): SourcePosition {
  let low = 0;
  let high = text.segments.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const segment = text.segments[middle];
    if (segment && segment.offset <= offset) low = middle;
    else high = middle - 1;
  }
  const segment = text.segments[low];
  if (!segment) return { line: 1, column: 1 };
  return { line: segment.position.line, column: segment.position.column + offset - segment.offset };
}

function nextColumn(position: SourcePosition): SourcePosition {
  return { line: position.line, column: position.column + 1 };
}

/** Blanks that separate words (BuildKit's `[\t\v\f\r ]+`). */
export function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t' || character === '\r' || character === '\v' || character === '\f';
}

/** White space of Go's `unicode.IsSpace`: what ends words of ENV, LABEL and ARG, and what falls away at line ends. */
export function isSpace(character: string | undefined): boolean {
  if (character === undefined) return false;
  return character < '\u0080' ? isBlank(character) || character === '\n' : WIDE_SPACE.test(character);
}

const WIDE_SPACE = /^[\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$/;

export function skipBlanks(text: string, from: number): number {
  let at = from;
  while (at < text.length && isBlank(text[at])) at += 1;
  return at;
}

/** The span without blanks at its ends. */
export function trimSpan(text: string, span: Span): Span {
  let { from, to } = span;
  while (from < to && isSpace(text[from])) from += 1;
  while (to > from && isSpace(text[to - 1])) to -= 1;
  return { from, to };
}

/** The text without such characters at its end. A loop, since `/[x]+$/` takes quadratic time on runs inside the text. */
export function trimmedEnd(text: string, characters: string): string {
  let to = text.length;
  while (to > 0 && characters.includes(text[to - 1] ?? '')) to -= 1;
  return text.slice(0, to);
}
