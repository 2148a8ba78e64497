import { BuildError, type SourceRange } from '../errors.ts';
import { isAffordable, parseShellPattern, replacePattern, type ShellPattern, stripPattern } from './shell-pattern.ts';
import { WordCollector } from './word-collector.ts';

export interface ExpandOptions {
  /** undefined: the variable is not set. */
  readonly scope: (name: string) => string | undefined;
  /** The file's escape character. */
  readonly escape: '\\' | '`';
  /** What errors point at. */
  readonly range: SourceRange;
  /** Told about each variable that is not set and has no default. */
  readonly onUndefined?: ((name: string) => void) | undefined;
}

/**
 * Quotes removed, escapes resolved, variables replaced; never split. Forms: `$x ${x} ${x:-w} ${x-w} ${x:+w} ${x+w}
 * ${x:?m} ${x?m} ${x#p} ${x##p} ${x%p} ${x%%p} ${x/p/r} ${x//p/r}`; words nest. BuildKit's rules, but a replacement
 * is literal. Throws E_EXPANSION.
 */
export function expand(text: string, options: ExpandOptions): string {
  return new Expansion(text, options).read({ quotes: true });
}

/** As `expand`, then split at the blanks that are not quoted (EXPOSE). */
export function expandWords(text: string, options: ExpandOptions): string[] {
  const words = new WordCollector();
  new Expansion(text, options).read({ quotes: true, words });
  return words.finish();
}

/**
 * The body of a COPY or ADD heredoc: variables replaced, `\` drops out and protects what follows, quotes are plain
 * characters. The escape character is `\` here whatever the file says, as in BuildKit.
 */
export function expandHeredoc(body: string, options: ExpandOptions): string {
  return new Expansion(body, { ...options, escape: '\\' }).read({ quotes: false });
}

interface Mode {
  /** False: quotes are plain characters (heredoc bodies). */
  readonly quotes: boolean;
  /** Ends a nested word; the end of the text is an error then. */
  readonly stop?: string;
  /** Escapes stay in the result: for patterns, which read them again. */
  readonly rawEscapes?: boolean;
  readonly words?: WordCollector;
}

/** Far beyond what anybody writes, and far below what would exhaust the stack. */
const DEEPEST = 200;
/** As long as a whole Containerfile may be; `ENV a=$a$a` line upon line would fill the memory. */
const LONGEST = 16 * 1024 * 1024;
const SPECIAL = /[@*#?\-$!0]/;
const NAME_START = /[\p{L}_]/u;
const NAME_REST = /[\p{L}\p{Nd}_]/u;

/** One pass over one text; the state is the place in it. */
class Expansion {
  readonly #characters: readonly string[];
  readonly #options: ExpandOptions;
  #at = 0;
  #depth = 0;
  #inserted = 0;

  constructor(text: string, options: ExpandOptions) {
    this.#characters = [...text];
    this.#options = options;
  }

  read(mode: Mode): string {
    const result: string[] = [];
    const quoted = (text: string): void => {
      result.push(text);
      mode.words?.addQuoted(text);
    };
    const unquoted = (text: string): void => {
      result.push(text);
      mode.words?.addUnquoted(text);
    };
    for (;;) {
      const character = this.#peek();
      if (character === undefined) break;
      if (character === mode.stop) {
        this.#at += 1;
        return result.join('');
      }
      if (character === '$') unquoted(this.#readDollar(mode));
      else if (mode.quotes && character === "'") quoted(this.#readSingleQuoted());
      else if (mode.quotes && character === '"') quoted(this.#readDoubleQuoted(mode));
      else if (character === this.#options.escape) quoted(this.#readEscaped(mode));
      else unquoted(this.#next());
    }
    if (mode.stop !== undefined) throw this.#error(`missing "${mode.stop}"`, `Close each "\${" with a "}"`);
    return result.join('');
  }

  #readEscaped(mode: Mode): string {
    const written = this.#next();
    // At the very end it escapes nothing and is dropped.
    const escaped = this.#peek() === undefined ? '' : this.#next();
    return mode.rawEscapes ? written + escaped : escaped;
  }

  #readSingleQuoted(): string {
    const close = this.#characters.indexOf("'", this.#at + 1);
    if (close < 0) throw this.#unmatched("'");
    const content = this.#characters.slice(this.#at + 1, close).join('');
    this.#at = close + 1;
    return content;
  }

  #readDoubleQuoted(mode: Mode): string {
    this.#at += 1;
    const result: string[] = [];
    for (;;) {
      const character = this.#peek();
      if (character === undefined) throw this.#unmatched('"');
      if (character === '"') {
        this.#at += 1;
        return result.join('');
      }
      if (character === '$') result.push(this.#readDollar(mode));
      else if (character === this.#options.escape) result.push(this.#readQuotedEscape(mode));
      else result.push(this.#next());
    }
  }

  /** Inside double quotes only `"`, `$` and the escape character can be escaped. */
  #readQuotedEscape(mode: Mode): string {
    const written = this.#next();
    const following = this.#peek();
    if (following !== '"' && following !== '$' && following !== this.#options.escape) return written;
    this.#at += 1;
    return mode.rawEscapes ? written + following : following;
  }

  #readDollar(mode: Mode): string {
    this.#at += 1;
    if (this.#peek() === '{') {
      this.#at += 1;
      this.#depth += 1;
      if (this.#depth > DEEPEST) throw this.#error('"${" is nested too deeply', 'Use an ARG for the inner part');
      const value = this.#readBraced(mode);
      this.#depth -= 1;
      return value;
    }
    const name = this.#readName();
    return name === '' ? '$' : this.#value(name);
  }

  #readBraced(mode: Mode): string {
    const name = this.#readName();
    if (name === '') throw this.#badSubstitution();
    const operator = this.#peek();
    if (operator === undefined) throw this.#error(`missing "}" after "\${${name}"`, `Close each "\${" with a "}"`);
    this.#at += 1;
    switch (operator) {
      case '}':
        return this.#value(name);
      case ':':
        return this.#readConditional({ name, emptyIsUnset: true, mode, operator: this.#peek() && this.#next() });
      case '-':
      case '+':
      case '?':
        return this.#readConditional({ name, emptyIsUnset: false, mode, operator });
      case '#':
      case '%':
        return this.#readStrip({ name, operator, mode });
      case '/':
        return this.#readReplace(name, mode);
      default:
        throw this.#unsupported(operator);
    }
  }

  #readConditional(form: { name: string; emptyIsUnset: boolean; operator: string | undefined; mode: Mode }): string {
    const { name, operator } = form;
    const colon = form.emptyIsUnset ? ':' : '';
    if (operator !== '-' && operator !== '+' && operator !== '?') throw this.#unsupported(colon + (operator ?? ''));
    const word = this.read({ quotes: form.mode.quotes, stop: '}' });
    const value = this.#options.scope(name);
    this.#count(value ?? '');
    const missing = value === undefined || (form.emptyIsUnset && value === '');
    if (operator === '+') return missing ? '' : word;
    if (!missing) return value;
    if (operator === '-') return word;
    const problem = value === undefined ? 'is not set' : 'is empty';
    throw this.#error(
      `"${name}" ${problem}${word === '' ? '' : `: ${word}`}`,
      `Give it a value: ARG, ENV or --build-arg ${name}=VALUE`,
    );
  }

  #readStrip(form: { name: string; operator: '#' | '%'; mode: Mode }): string {
    const longest = this.#peek() === form.operator;
    if (longest) this.#at += 1;
    const written = this.read({ quotes: form.mode.quotes, stop: '}', rawEscapes: true });
    const value = this.#value(form.name);
    return stripPattern(value, this.#pattern(written, value), {
      end: form.operator === '#' ? 'prefix' : 'suffix',
      longest,
    });
  }

  #readReplace(name: string, mode: Mode): string {
    const all = this.#peek() === '/';
    if (all) this.#at += 1;
    const written = this.read({ quotes: mode.quotes, stop: '/', rawEscapes: true });
    const replacement = this.read({ quotes: mode.quotes, stop: '}', rawEscapes: true });
    const value = this.#value(name);
    const replaced = replacePattern(value, this.#pattern(written, value), { replacement, all });
    this.#count(replaced);
    return replaced;
  }

  #pattern(text: string, value: string): ShellPattern {
    if (!isAffordable(text, value)) {
      throw this.#error(`a pattern of ${text.length} characters is too long`, 'Use a shorter pattern, or a RUN step');
    }
    const pattern = parseShellPattern(text);
    if (pattern) return pattern;
    throw this.#error(
      `bad escape in the pattern "${text}"`,
      'Only \\*, \\?, \\\\, \\} and \\/ are escapes in a pattern',
    );
  }

  /** A name, the digits of a positional parameter, or one special parameter; empty when there is none. */
  #readName(): string {
    const first = this.#peek();
    if (first === undefined) return '';
    if (/\p{Nd}/u.test(first)) return this.#take(/\p{Nd}/u);
    if (SPECIAL.test(first)) return this.#next();
    return NAME_START.test(first) ? this.#take(NAME_REST) : '';
  }

  #take(kind: RegExp): string {
    const from = this.#at;
    while (this.#at < this.#characters.length && kind.test(this.#characters[this.#at] ?? '')) this.#at += 1;
    return this.#characters.slice(from, this.#at).join('');
  }

  #value(name: string): string {
    const value = this.#options.scope(name);
    if (value === undefined && NAME_START.test(name)) this.#options.onUndefined?.(name);
    this.#count(value ?? '');
    return value ?? '';
  }

  #count(value: string): void {
    this.#inserted += value.length;
    if (this.#inserted <= LONGEST) return;
    throw this.#error(`the result is longer than ${LONGEST} characters`, 'Look for a variable that repeats itself');
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #next(): string {
    const character = this.#characters[this.#at] ?? '';
    this.#at += 1;
    return character;
  }

  #badSubstitution(): BuildError {
    return this.#error('bad substitution: "${" without a name', `Write \${NAME}, or \\$ for a plain dollar sign`);
  }

  #unsupported(operator: string): BuildError {
    return this.#error(
      `unsupported modifier "${operator}" in substitution`,
      'Use one of :- - :+ + :? ? # ## % %% / //',
    );
  }

  #unmatched(quote: string): BuildError {
    return this.#error(
      `missing closing ${quote}`,
      `Close the quote, or write ${this.#options.escape}${quote} for a plain one`,
    );
  }

  #error(problem: string, hint: string): BuildError {
    const text = this.#characters.join('');
    const shown = text.length > 80 ? `${text.slice(0, 80)}...` : text;
    return new BuildError('E_EXPANSION', `Cannot expand "${shown}": ${problem}`, { hint, range: this.#options.range });
  }
}
