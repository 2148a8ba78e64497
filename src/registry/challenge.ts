/** One challenge of a WWW-Authenticate header (RFC 9110 section 11.6.1). Scheme and parameter names in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Longer headers are cut: no registry needs more. */
const MAX_HEADER = 16 * 1024;
const TOKEN = /[A-Za-z0-9!#$%&'*+.^_`|~/-]*/y;

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  skip(characters: string): void {
    while (!this.done && characters.includes(this.#text.charAt(this.#at))) this.#at++;
  }

  take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  advance(): void {
    this.#at++;
  }

  token(): string {
    TOKEN.lastIndex = this.#at;
    const found = TOKEN.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  /** After the opening quote. An unterminated string ends with the header. */
  quoted(): string {
    let value = '';
    while (!this.done) {
      const character = this.#text.charAt(this.#at++);
      if (character === '"') return value;
      value += character === '\\' ? this.#text.charAt(this.#at++) : character;
    }
    return value;
  }
}

/**
 * All challenges of the header's values. Never throws: what is malformed is passed over, because a header with one
 * strange challenge may still hold one that we can answer.
 */
export function parseChallenges(header: string | readonly string[] | undefined): readonly Challenge[] {
  const text = header === undefined ? '' : typeof header === 'string' ? header : header.join(', ');
  const scanner = new Scanner(text.slice(0, MAX_HEADER));
  const found: { scheme: string; parameters: Map<string, string> }[] = [];
  while (!scanner.done) {
    scanner.skip(', \t');
    const name = scanner.token().toLowerCase();
    if (name === '') {
      scanner.advance();
      continue;
    }
    scanner.skip(' \t');
    if (!scanner.take('=')) {
      found.push({ scheme: name, parameters: new Map() });
      continue;
    }
    scanner.skip(' \t');
    const value = scanner.take('"') ? scanner.quoted() : scanner.token();
    // The first value wins: a repeated parameter must not replace the realm.
    const parameters = found.at(-1)?.parameters;
    if (parameters !== undefined && !parameters.has(name)) parameters.set(name, value);
  }
  return found.map(({ scheme, parameters }) => ({ scheme, parameters: Object.fromEntries(parameters) }));
}
