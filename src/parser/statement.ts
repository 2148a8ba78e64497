import { BuildError, type SourceRange } from '../errors.ts';
import type { PlacedHeredoc } from './heredoc.ts';
import type { Word } from './instructions.ts';
import type { LogicalLine } from './lines.ts';
import { isBlank, type LocatedText, rangeAt, type Span, skipBlanks, trimSpan } from './located-text.ts';
import { wordAt } from './words.ts';

/** A `--name[=value]` word before the arguments; quotes and escapes are taken out already. */
export interface WrittenFlag {
  readonly name: string;
  readonly value?: Word;
  readonly range: SourceRange;
}

/** A logical line cut into keyword, flags and the rest, before anybody asks what the keyword means. */
export interface Statement {
  /** As written. */
  readonly keyword: Word;
  readonly flags: readonly WrittenFlag[];
  readonly text: LocatedText;
  /** The arguments after the flags, without blanks at the ends. */
  readonly args: Span;
  readonly heredocs: readonly PlacedHeredoc[];
  readonly comments: readonly string[];
  readonly escape: '\\' | '`';
  /** From the keyword to the end of the instruction. */
  readonly range: SourceRange;
}

export interface SplitOptions {
  readonly escape: '\\' | '`';
  /** Where the instruction starts in the line: behind ONBUILD, its trigger. */
  readonly from?: number;
}

export function splitStatement(line: LogicalLine, options: SplitOptions): Statement {
  const { text } = line.text;
  const all = trimSpan(text, { from: options.from ?? 0, to: text.length });
  let at = all.from;
  while (at < all.to && !isBlank(text[at])) at += 1;
  const keyword = wordAt(line.text, { from: all.from, to: at });
  const { flags, next } = readFlags(line.text, { from: at, to: all.to }, options.escape);
  return {
    keyword,
    flags,
    text: line.text,
    // Blanks behind a keyword that stands alone are no argument.
    args: trimSpan(text, { from: Math.min(next, all.to), to: all.to }),
    heredocs: line.heredocs,
    comments: line.comments,
    escape: options.escape,
    range: { source: line.text.source, start: keyword.range.start, end: line.end },
  };
}

/** The arguments as text. */
export function argsText(statement: Statement): string {
  return statement.text.text.slice(statement.args.from, statement.args.to);
}

/** The instruction on one line, as written. */
export function rawText(statement: Statement): string {
  const { text } = statement.text;
  const from = text.length - text.trimStart().length;
  return text.slice(from).trimEnd();
}

function readFlags(text: LocatedText, span: Span, escapeCharacter: string): { flags: WrittenFlag[]; next: number } {
  const flags: WrittenFlag[] = [];
  let at = skipBlanks(text.text, span.from);
  while (at < span.to && text.text.startsWith('--', at)) {
    const from = at;
    const { value, end } = readFlagWord(text, { from, to: span.to }, escapeCharacter);
    at = skipBlanks(text.text, end);
    if (value === '--') return { flags, next: end };
    flags.push(cutFlag(text, { from, to: end }, value));
  }
  return { flags, next: at };
}

function readFlagWord(text: LocatedText, span: Span, escapeCharacter: string): { value: string; end: number } {
  const value: string[] = [];
  let quote = '';
  let at = span.from;
  for (; at < span.to; at += 1) {
    const character = text.text[at] ?? '';
    if (quote === '' && isBlank(character)) break;
    if (character === quote) quote = '';
    else if (quote === '' && (character === "'" || character === '"')) quote = character;
    else if (character === escapeCharacter) {
      at += 1;
      value.push(at < span.to ? (text.text[at] ?? '') : '');
    } else value.push(character);
  }
  if (quote !== '') {
    throw new BuildError('E_PARSE', `Flag has an opening ${quote} without a closing one`, {
      range: rangeAt(text, span),
      hint: `Close the quote, or write the flag without quotes`,
    });
  }
  return { value: value.join(''), end: Math.min(at, span.to) };
}

function cutFlag(text: LocatedText, span: Span, word: string): WrittenFlag {
  const range = rangeAt(text, span);
  const equals = word.indexOf('=');
  if (equals < 0) return { name: word.slice(2), range };
  const written = text.text.indexOf('=', span.from);
  const valueRange = rangeAt(text, { from: Math.min(written + 1, span.to), to: span.to });
  return { name: word.slice(2, equals), value: { text: word.slice(equals + 1), range: valueRange }, range };
}
