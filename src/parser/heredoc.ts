import type { Heredoc } from './instructions.ts';
import { isBlank, isSpace, type LocatedText, rangeAt, type Span } from './located-text.ts';

/** A heredoc's word in its line; the body follows below. */
export type HeredocWord = Omit<Heredoc, 'body'> & { readonly span: Span };

/** A heredoc with the place of its word in the logical line. */
export interface PlacedHeredoc {
  readonly span: Span;
  readonly heredoc: Heredoc;
}

/** BuildKit's `reHeredoc`. */
const HEREDOC = /^(\d*)<<(-?)\s*([^<]*)$/;
const OPENED = /^\d*<<-?$/;

/**
 * The heredoc words of a line, in order. A line with an unmatched quote has none: the shell will say so
 * (BuildKit's rule). Arithmetic, `$((1 << 2))`, is no heredoc.
 */
export function findHeredocWords(line: LocatedText): HeredocWord[] {
  const found: HeredocWord[] = [];
  for (const span of shellWords(line.text) ?? []) {
    const [, fd = '', dash = '', written = ''] = HEREDOC.exec(line.text.slice(span.from, span.to)) ?? [];
    if (written === '') continue;
    const { name, quoted } = unquote(written);
    // `<<""`: no line could be told from its end (BuildKit sees no heredoc either).
    if (name === '') continue;
    found.push({ name, expand: !quoted, stripTabs: dash === '-', fd: Number(fd), range: rangeAt(line, span), span });
  }
  return found;
}

/** Spans of the words as a shell would split them; undefined when a quote is not closed. */
function shellWords(text: string): Span[] | undefined {
  const words: Span[] = [];
  // Looked up once: searching for it behind every "$((" would take quadratic time.
  const lastClose = text.lastIndexOf('))');
  let at = 0;
  while (at < text.length) {
    if (isSpace(text[at])) {
      at += 1;
      continue;
    }
    const from = at;
    while (at < text.length && !(isSpace(text[at]) && !opensHeredoc(text, from, at))) {
      const next = skipUnit(text, at, lastClose);
      if (next === undefined) return undefined;
      at = next;
    }
    words.push({ from, to: at });
  }
  return words;
}

/** Blanks may stand between `<<` and its word. */
function opensHeredoc(text: string, from: number, at: number): boolean {
  // The longest opening that can matter is short: digits, `<<-`, blanks.
  return isBlank(text[at]) && at - from < 64 && OPENED.test(text.slice(from, at).trimEnd());
}

/** The place after one character, quoted string, escaped character or arithmetic expression. */
function skipUnit(text: string, at: number, lastClose: number): number | undefined {
  const character = text[at];
  if (character === "'") {
    const close = text.indexOf("'", at + 1);
    return close < 0 ? undefined : close + 1;
  }
  if (character === '"') return skipDoubleQuoted(text, at);
  if (character === '\\') return Math.min(at + 2, text.length);
  const arithmetic = lastClose >= at + 3 && text.startsWith('$((', at);
  return arithmetic ? text.indexOf('))', at + 3) + 2 : at + 1;
}

function skipDoubleQuoted(text: string, open: number): number | undefined {
  let at = open + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at < text.length ? at + 1 : undefined;
}

function unquote(word: string): { name: string; quoted: boolean } {
  let name = '';
  let quote = '';
  let quoted = false;
  for (let at = 0; at < word.length; at += 1) {
    const character = word[at] ?? '';
    const next = word[at + 1];
    if (quote !== '' && character === quote) quote = '';
    else if (quote === '' && (character === "'" || character === '"')) {
      quote = character;
      quoted = true;
    } else if (character === '\\' && escapes(quote, next)) {
      name += next ?? '';
      at += 1;
    } else name += character;
  }
  return { name, quoted };
}

function escapes(quote: string, next: string | undefined): boolean {
  if (quote === "'") return false;
  return quote === '' || next === '"' || next === '$' || next === '\\';
}
