import type { Word } from './instructions.ts';
import { isBlank, isSpace, type LocatedText, rangeAt, type Span } from './located-text.ts';

export function wordAt(text: LocatedText, span: Span): Word {
  return { text: text.text.slice(span.from, span.to), range: rangeAt(text, span) };
}

/** Words between blanks; quotes mean nothing here (FROM, COPY, ADD, EXPOSE, VOLUME). `whole` spans are never split. */
export function splitAtBlanks(text: LocatedText, span: Span, whole: readonly Span[] = []): Word[] {
  const ends = new Map(whole.map(({ from, to }) => [from, to]));
  const words: Word[] = [];
  let at = span.from;
  while (at < span.to) {
    if (isBlank(text.text[at])) {
      at += 1;
      continue;
    }
    const from = at;
    const kept = ends.get(from);
    if (kept !== undefined) at = kept;
    while (kept === undefined && at < span.to && !isBlank(text.text[at])) at += 1;
    words.push(wordAt(text, { from, to: at }));
  }
  return words;
}

/** Words between blanks outside quotes, quotes and escapes kept (ENV, LABEL, ARG). An open quote reaches to the end. */
export function splitQuoted(text: string, span: Span, escapeCharacter: '\\' | '`'): Span[] {
  const words: Span[] = [];
  let at = span.from;
  while (at < span.to) {
    if (isSpace(text[at])) {
      at += 1;
      continue;
    }
    const from = at;
    at = endOfQuotedWord(text, { from, to: span.to }, escapeCharacter);
    // An escape character at the very end escapes nothing and is dropped (BuildKit).
    const loose = at === span.to && endsInLooseEscape(text.slice(from, at), escapeCharacter);
    const to = loose ? at - 1 : at;
    if (to > from) words.push({ from, to });
  }
  return words;
}

function endOfQuotedWord(text: string, span: Span, escapeCharacter: string): number {
  let quote = '';
  let at = span.from;
  while (at < span.to) {
    const character = text[at] ?? '';
    if (quote === '' && isSpace(character)) return at;
    if (character === escapeCharacter && quote !== "'") at += 1;
    else if (character === quote) quote = '';
    else if (quote === '' && (character === "'" || character === '"')) quote = character;
    at += 1;
  }
  return span.to;
}

function endsInLooseEscape(word: string, escapeCharacter: string): boolean {
  let count = 0;
  while (word[word.length - 1 - count] === escapeCharacter) count += 1;
  return count % 2 === 1;
}

/** The word cut at its first `=`: undefined when there is none. */
export function cutAtEquals(text: LocatedText, span: Span): { key: Word; value: Word } | undefined {
  const at = text.text.indexOf('=', span.from);
  if (at < 0 || at >= span.to) return undefined;
  return { key: wordAt(text, { from: span.from, to: at }), value: wordAt(text, { from: at + 1, to: span.to }) };
}
