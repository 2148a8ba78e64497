import { filepathMatch } from './path-match.ts';

/**
 * One pattern of an ignore file, compiled once, after moby's patternmatcher: a pattern with neither `*`, `?`, `[` nor
 * `\` is compared as it stands; `**` at one end is a prefix or suffix test; the rest becomes a regular expression, or,
 * with many stars, a table that no input can make slow.
 */
export type PathTest = (path: string) => boolean;

type Token =
  | { readonly kind: 'character'; readonly character: string }
  | { readonly kind: 'class'; readonly source: string; readonly test: RegExp }
  /** `?`: one character but `/`. */
  | { readonly kind: 'one' }
  /** `*`: any characters but `/`. */
  | { readonly kind: 'star' }
  /** A `**` before something, its `/` included: nothing, or anything up to a `/`. */
  | { readonly kind: 'directories' }
  /** A `**` at the end: anything. */
  | { readonly kind: 'rest' };

/** A regular expression takes at most this much time, in steps, on a hostile path: its length to the power of the loops. */
const MOST_STEPS = 10_000_000;

/** `pattern` is clean (no `./`, no trailing `/`). Throws as filepathMatch does. */
export function compileIgnorePattern(pattern: string): PathTest {
  // Go's syntax check: its Match reads the whole pattern whatever the name is.
  filepathMatch(pattern, '.');
  const tokens = tokenize(pattern);
  const literal = tokens.every((token) => token.kind === 'character');
  if (literal && !pattern.includes('\\')) return (path) => path === pattern;
  return simpleTest(pattern, tokens) ?? generalTest(tokens);
}

function simpleTest(pattern: string, tokens: readonly Token[]): PathTest | undefined {
  if (pattern.includes('\\')) return undefined;
  const [first, ...rest] = tokens;
  if (first?.kind === 'rest') return () => true;
  const plain = (list: readonly Token[]): boolean => list.every((token) => token.kind === 'character');
  if (first?.kind === 'directories' && plain(rest)) {
    // moby keeps the slash of `**/x`: `x` or `.../x`. Without one, `**x` is any suffix.
    const suffix = pattern.slice(2);
    const bare = suffix.startsWith('/') ? suffix.slice(1) : undefined;
    return (path) => path.endsWith(suffix) || path === bare;
  }
  if (tokens.at(-1)?.kind === 'rest' && plain(tokens.slice(0, -1))) {
    const prefix = pattern.replace(/\*\*\/?$/, '');
    return (path) => path.startsWith(prefix);
  }
  return undefined;
}

function generalTest(tokens: readonly Token[]): PathTest {
  const loops = tokens.filter((token) => token.kind === 'star' || token.kind === 'directories').length;
  const shortest = tokens.filter(({ kind }) => kind === 'character' || kind === 'class' || kind === 'one').length;
  // Compiled when needed: a pattern longer than any path never is.
  let expression: RegExp | undefined;
  return (path) => {
    if (path.length < shortest) return false;
    if (path.length ** loops > MOST_STEPS) return matchesByTable(tokens, [...path]);
    expression ??= new RegExp(`^${tokens.map(regexOf).join('')}$`, 'su');
    return expression.test(path);
  };
}

function tokenize(pattern: string): Token[] {
  const characters = [...pattern];
  const tokens: Token[] = [];
  let at = 0;
  while (at < characters.length) {
    const character = characters[at] ?? '';
    at += 1;
    if (character === '*' && characters[at] === '*') {
      at += 1;
      if (characters[at] === '/') at += 1;
      // Two in a row mean the same as one.
      if (at >= characters.length) tokens.push({ kind: 'rest' });
      else if (tokens.at(-1)?.kind !== 'directories') tokens.push({ kind: 'directories' });
    } else if (character === '*') tokens.push({ kind: 'star' });
    else if (character === '?') tokens.push({ kind: 'one' });
    else if (character === '[') {
      const end = classEnd(characters, at);
      tokens.push(classToken(characters.slice(at, end)));
      at = end + 1;
    } else if (character === '\\') {
      tokens.push({ kind: 'character', character: characters[at] ?? '\\' });
      at += 1;
    } else tokens.push({ kind: 'character', character });
  }
  return tokens;
}

function classEnd(characters: readonly string[], from: number): number {
  let at = from;
  while (at < characters.length && characters[at] !== ']') at += characters[at] === '\\' ? 2 : 1;
  return at;
}

function classToken(members: readonly string[]): Token {
  const negated = members[0] === '^';
  let source = '';
  for (let at = negated ? 1 : 0; at < members.length; at += 1) {
    let member = members[at] ?? '';
    if (member === '-') {
      source += '-';
      continue;
    }
    if (member === '\\') {
      at += 1;
      member = members[at] ?? '';
    }
    source += `\\u{${(member.codePointAt(0) ?? 0).toString(16)}}`;
  }
  const complete = `[${negated ? '^' : ''}${source}]`;
  return { kind: 'class', source: complete, test: new RegExp(`^${complete}$`, 'u') };
}

function regexOf(token: Token): string {
  switch (token.kind) {
    case 'character':
      return token.character.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    case 'class':
      return token.source;
    case 'one':
      return '[^/]';
    case 'star':
      return '[^/]*';
    case 'directories':
      return '(?:.*/)?';
    case 'rest':
      return '.*';
    default:
      return token satisfies never;
  }
}

/** Which beginnings of the path the tokens so far can match; length times length at most. */
function matchesByTable(tokens: readonly Token[], path: readonly string[]): boolean {
  let reached = new Array<boolean>(path.length + 1).fill(false);
  reached[0] = true;
  for (const token of tokens) reached = step(reached, token, path);
  return reached[path.length] ?? false;
}

function step(reached: readonly boolean[], token: Token, path: readonly string[]): boolean[] {
  const next = new Array<boolean>(reached.length).fill(false);
  let open = false;
  for (let at = 0; at < reached.length; at += 1) {
    const before = path[at - 1] ?? '';
    switch (token.kind) {
      case 'character':
      case 'class':
      case 'one':
        next[at] = at > 0 && (reached[at - 1] ?? false) && matchesOne(token, before);
        break;
      case 'star':
        open = (open && before !== '/') || (reached[at] ?? false);
        next[at] = open;
        break;
      case 'directories':
        next[at] = (open && before === '/') || (reached[at] ?? false);
        open ||= reached[at] ?? false;
        break;
      case 'rest':
        open ||= reached[at] ?? false;
        next[at] = open;
        break;
      default:
        token satisfies never;
    }
  }
  return next;
}

function matchesOne(token: Token, character: string): boolean {
  if (token.kind === 'character') return token.character === character;
  return token.kind === 'class' ? token.test.test(character) : character !== '/';
}
