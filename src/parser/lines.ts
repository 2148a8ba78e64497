import { BuildError, type SourceFile, type SourcePosition, type SourceRange } from '../errors.ts';
import { findHeredocWords, type HeredocWord, type PlacedHeredoc } from './heredoc.ts';
import type { ParseWarning } from './instructions.ts';
import { type LocatedText, type Segment, trimmedEnd } from './located-text.ts';

/** One instruction: continuations joined, comments and line ends taken out, heredoc bodies apart. */
export interface LogicalLine {
  readonly text: LocatedText;
  readonly heredocs: readonly PlacedHeredoc[];
  readonly comments: readonly string[];
  /** After the last character that belongs to the instruction, the terminator of a heredoc included. */
  readonly end: SourcePosition;
}

export interface LogicalLines {
  readonly lines: readonly LogicalLine[];
  readonly warnings: readonly ParseWarning[];
}

interface PhysicalLine {
  readonly number: number;
  /** Without the line end. */
  readonly text: string;
  /** With it: heredoc bodies keep their bytes. */
  readonly raw: string;
}

interface Cursor {
  readonly source: SourceFile;
  readonly lines: readonly PhysicalLine[];
  readonly continuation: RegExp;
  readonly warnings: ParseWarning[];
  next: number;
}

const COMMENT = /^\s*#/;
const TAKES_HEREDOCS = /^\s*(?:ONBUILD\s+)?(?:RUN|COPY|ADD)\s/i;

export interface LineOptions {
  readonly escape: '\\' | '`';
  /** So many lines at the top are parser directives, no comments of the first instruction. */
  readonly directiveLines?: number;
}

export function readLogicalLines(source: SourceFile, options: LineOptions): LogicalLines {
  const cursor: Cursor = {
    source,
    lines: physicalLines(source.text),
    continuation: continuationOf(options.escape),
    warnings: [],
    next: options.directiveLines ?? 0,
  };
  const lines: LogicalLine[] = [];
  let comments: string[] = [];
  while (cursor.next < cursor.lines.length) {
    const text = cursor.lines[cursor.next]?.text ?? '';
    if (COMMENT.test(text)) {
      comments.push(text.replace(COMMENT, '').trim());
      cursor.next += 1;
    } else if (text.trim() === '') {
      comments = [];
      cursor.next += 1;
    } else {
      const line = readLogicalLine(cursor, comments);
      if (line) lines.push(line);
      comments = [];
    }
  }
  return { lines, warnings: cursor.warnings };
}

function physicalLines(text: string): PhysicalLine[] {
  const raws = text.replace(/^\uFEFF/, '').match(/[^\n]*\n|[^\n]+$/g) ?? [];
  return raws.map((raw, index) => ({ number: index + 1, text: trimmedEnd(raw, '\r\n'), raw }));
}

/** The escape character at the end continues the line, blanks may follow it; a doubled one does not (BuildKit). */
function continuationOf(escapeCharacter: '\\' | '`'): RegExp {
  return escapeCharacter === '`' ? /(^|[^`])`$/ : /(^|[^\\])\\$/;
}

function readLogicalLine(cursor: Cursor, comments: readonly string[]): LogicalLine | undefined {
  const segments: Segment[] = [];
  const parts: string[] = [];
  let length = 0;
  let end: SourcePosition = { line: 1, column: 1 };
  let continues = true;
  let emptyAt: SourceRange | undefined;
  while (continues && cursor.next < cursor.lines.length) {
    const line = cursor.lines[cursor.next];
    cursor.next += 1;
    if (!line || (segments.length > 0 && COMMENT.test(line.text))) continue;
    if (segments.length > 0 && line.text.trim() === '') {
      emptyAt ??= pointAt(cursor.source, line.number);
      continue;
    }
    const indent = segments.length === 0 ? line.text.length - line.text.trimStart().length : 0;
    const { text, continued } = withoutContinuation(line.text.slice(indent), cursor.continuation);
    segments.push({ offset: length, position: { line: line.number, column: indent + 1 } });
    parts.push(text);
    length += text.length;
    end = { line: line.number, column: line.text.length + 1 };
    continues = continued;
  }
  // Blank lines at the end of the file continue nothing.
  if (emptyAt && emptyAt.start.line < end.line) {
    cursor.warnings.push({ message: EMPTY_CONTINUATION, rule: 'NoEmptyContinuation', range: emptyAt });
  }
  const text: LocatedText = { source: cursor.source, text: parts.join(''), segments };
  if (text.text.trim() === '') return undefined;
  return readHeredocs(cursor, { text, heredocs: [], comments, end });
}

const EMPTY_CONTINUATION = 'Empty line inside a continued instruction; a later version may end the instruction here';

function withoutContinuation(line: string, continuation: RegExp): { text: string; continued: boolean } {
  const trimmed = trimmedEnd(line, ' \t');
  if (!continuation.test(trimmed.slice(-2))) return { text: line, continued: false };
  return { text: trimmed.slice(0, -1), continued: true };
}

function pointAt(source: SourceFile, line: number): SourceRange {
  return { source, start: { line, column: 1 }, end: { line, column: 1 } };
}

function readHeredocs(cursor: Cursor, line: LogicalLine): LogicalLine {
  if (!line.text.text.includes('<<') || !TAKES_HEREDOCS.test(line.text.text)) return line;
  const heredocs: PlacedHeredoc[] = [];
  let { end } = line;
  for (const word of findHeredocWords(line.text)) {
    const { body, terminator } = readBody(cursor, word);
    const { span, ...heredoc } = word;
    heredocs.push({ span, heredoc: { ...heredoc, body } });
    end = { line: terminator.number, column: terminator.text.length + 1 };
  }
  return { ...line, heredocs, end };
}

function readBody(cursor: Cursor, word: HeredocWord): { body: string; terminator: PhysicalLine } {
  const first = cursor.next;
  const stripped = (text: string): string => (word.stripTabs ? text.replace(/^\t+/, '') : text);
  const body: string[] = [];
  for (let index = first; index < cursor.lines.length; index += 1) {
    const line = cursor.lines[index];
    if (!line) break;
    if (stripped(line.text) === word.name) {
      cursor.next = index + 1;
      return { body: body.join(''), terminator: line };
    }
    body.push(stripped(line.raw));
  }
  throw unterminated(cursor.lines.slice(first), word);
}

function unterminated(rest: readonly PhysicalLine[], word: HeredocWord): BuildError {
  const near = rest.find((line) => line.text.trim() === word.name);
  const hint = near
    ? `Line ${near.number} has blanks around "${word.name}"; the terminator must stand alone on its line`
    : `Add a line that is exactly "${word.name}" after the text that starts at line ${word.range.start.line + 1}`;
  return new BuildError('E_PARSE', `Heredoc "${word.name}" of line ${word.range.start.line} is not terminated`, {
    hint,
    range: word.range,
  });
}
