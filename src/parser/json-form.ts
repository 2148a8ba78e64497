import { BuildError } from '../errors.ts';
import type { Word } from './instructions.ts';
import { type LocatedText, rangeAt, type Span } from './located-text.ts';

/**
 * The words of a JSON array of strings; undefined when the text is no JSON array, which makes it the shell form, as in
 * BuildKit. A JSON array with other members is an error: nobody means that as a shell command.
 */
export function parseJsonForm(text: LocatedText, span: Span): readonly Word[] | undefined {
  const written = text.text.slice(span.from, span.to);
  if (!written.startsWith('[')) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(written);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed)) return undefined;
  const strings: string[] = [];
  for (const member of parsed) {
    if (typeof member !== 'string') throw notAString(member, rangeAt(text, span));
    // A lone surrogate has no UTF-8 form; Go's decoder makes it U+FFFD too.
    strings.push(member.replace(/[\uD800-\uDFFF]/gu, '\uFFFD'));
  }
  const spans = stringSpans(written);
  return strings.map((value, index) => {
    const { from, to } = spans[index] ?? { from: 0, to: written.length };
    return { text: value, range: rangeAt(text, { from: span.from + from, to: span.from + to }) };
  });
}

function notAString(member: unknown, range: Word['range']): BuildError {
  // A nested value may be too deep to be written out.
  const shown = typeof member === 'object' && member !== null ? kindOf(member) : String(member);
  return new BuildError('E_PARSE', `JSON form takes strings only, but has ${shown}`, {
    hint: 'Put each member in double quotes',
    range,
  });
}

function kindOf(member: object): string {
  return Array.isArray(member) ? 'an array' : 'an object';
}

/** Where the string literals of a valid JSON array of strings stand, quotes included. */
function stringSpans(json: string): Span[] {
  const spans: Span[] = [];
  for (let at = 0; at < json.length; at += 1) {
    if (json[at] !== '"') continue;
    const from = at;
    at += 1;
    while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
    spans.push({ from, to: at + 1 });
  }
  return spans;
}
