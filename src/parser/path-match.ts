import { BuildError } from '../errors.ts';

/**
 * Go's filepath.Match (path/filepath/match.go): `*` and `?` do not cross `/`; `[a-z]`, `[^a-z]`; `\` escapes. The
 * pattern must match the whole name. Throws E_PARSE for a malformed pattern, even where the name fails earlier.
 */
export function filepathMatch(pattern: string, name: string): boolean {
  return matchTokens(parsePathPattern(pattern), [...name]);
}

/** True when `filepathMatch` treats the text as more than a literal name (an escape counts). */
export function hasWildcard(pattern: string): boolean {
  return /[*?[\\]/.test(pattern);
}

/**
 * A path pattern, component by component, for walking a tree: component `i` of a path must match `components[i]`.
 * Empty and `.` components are dropped. `literal` is the name to open when there is nothing to match.
 */
export function splitPathPattern(pattern: string): readonly PathComponent[] {
  return pattern
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .map((part) => {
      const tokens = parsePathPattern(part);
      const plain = tokens.every((token) => token.kind === 'literal');
      const literal = plain
        ? tokens.map((token) => (token.kind === 'literal' ? token.character : '')).join('')
        : undefined;
      return { pattern: part, literal, matches: (name) => matchTokens(tokens, [...name]) };
    });
}

export interface PathComponent {
  readonly pattern: string;
  /** The name without its escapes, when there is no wildcard in it. */
  readonly literal: string | undefined;
  readonly matches: (name: string) => boolean;
}

type Token =
  | { readonly kind: 'star' }
  | { readonly kind: 'one' }
  | { readonly kind: 'literal'; readonly character: string }
  | ClassToken;

interface ClassToken {
  readonly kind: 'class';
  readonly negated: boolean;
  readonly ranges: readonly (readonly [low: number, high: number])[];
}

function parsePathPattern(pattern: string): readonly Token[] {
  const characters = [...pattern];
  const tokens: Token[] = [];
  let at = 0;
  while (at < characters.length) {
    const character = characters[at] ?? '';
    if (character === '*' || character === '?') {
      tokens.push({ kind: character === '*' ? 'star' : 'one' });
      at += 1;
    } else if (character === '[') {
      const { token, next } = parseClass(characters, at, pattern);
      tokens.push(token);
      at = next;
    } else if (character === '\\') {
      const escaped = characters[at + 1];
      if (escaped === undefined) throw badPattern(pattern, 'it ends in "\\"');
      tokens.push({ kind: 'literal', character: escaped });
      at += 2;
    } else {
      tokens.push({ kind: 'literal', character });
      at += 1;
    }
  }
  return tokens;
}

function parseClass(characters: readonly string[], open: number, pattern: string): { token: ClassToken; next: number } {
  let at = open + 1;
  const negated = characters[at] === '^';
  if (negated) at += 1;
  const ranges: [number, number][] = [];
  const member = (): number => {
    let character = characters[at];
    if (character === undefined || character === '-' || character === ']') throw badClass(pattern);
    if (character === '\\') {
      at += 1;
      character = characters[at];
    }
    at += 1;
    const code = character?.codePointAt(0);
    // The class must be closed, so something follows each member.
    if (code === undefined || at >= characters.length) throw badClass(pattern);
    return code;
  };
  while (characters[at] !== ']' || ranges.length === 0) {
    const low = member();
    let high = low;
    if (characters[at] === '-') {
      at += 1;
      high = member();
    }
    ranges.push([low, high]);
  }
  return { token: { kind: 'class', negated, ranges }, next: at + 1 };
}

function badClass(pattern: string): BuildError {
  return badPattern(pattern, 'a "[" class is empty, not closed, or has a loose "-"');
}

function badPattern(pattern: string, problem: string): BuildError {
  return new BuildError('E_PARSE', `Pattern "${pattern}" is not valid: ${problem}`, {
    hint: pattern.startsWith('[')
      ? 'For the JSON form put every path in double quotes, with "," between them; for a name that begins with "[" write [[]'
      : 'Write [[] for a plain "[", and \\\\ for a plain backslash',
  });
}

/** Greedy with one way back: only the last star can ever need to give more. */
function matchTokens(tokens: readonly Token[], name: readonly string[]): boolean {
  let at = 0;
  let token = 0;
  let star = -1;
  let starAt = 0;
  while (at < name.length) {
    const current = tokens[token];
    if (current?.kind === 'star') {
      star = token;
      starAt = at;
      token += 1;
    } else if (current && matchesOne(current, name[at] ?? '')) {
      token += 1;
      at += 1;
    } else if (star >= 0 && name[starAt] !== '/') {
      starAt += 1;
      at = starAt;
      token = star + 1;
    } else return false;
  }
  while (tokens[token]?.kind === 'star') token += 1;
  return token === tokens.length;
}

function matchesOne(token: Token, character: string): boolean {
  switch (token.kind) {
    case 'star':
      return false;
    case 'one':
      return character !== '/';
    case 'literal':
      return token.character === character;
    case 'class': {
      const code = character.codePointAt(0) ?? -1;
      return token.ranges.some(([low, high]) => low <= code && code <= high) !== token.negated;
    }
    default:
      return token satisfies never;
  }
}
