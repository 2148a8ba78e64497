import { posix } from 'node:path';
import { BuildError, type SourceRange } from '../errors.ts';
import { compileIgnorePattern, type PathTest } from './ignore-pattern.ts';
import { filepathMatch } from './path-match.ts';
import { sourceLines } from './source.ts';

export interface IgnorePattern {
  /** As written, without blanks at the ends. */
  readonly text: string;
  /** 1-based. */
  readonly line: number;
  /** `!`: takes paths back in. */
  readonly negated: boolean;
  /** Clean, relative, without `!`: what paths are compared with. */
  readonly path: string;
}

export interface IgnoreMatch {
  readonly ignored: boolean;
  /** The pattern that decided: the last one that changed the state. */
  readonly pattern?: IgnorePattern;
}

/** `.containerignore` or `.dockerignore`, compiled. Paths are relative to the context, with `/`. */
export interface IgnoreFile {
  readonly patterns: readonly IgnorePattern[];
  readonly match: (path: string) => IgnoreMatch;
  /** True for an ignored directory below which no `!` pattern can take anything back in: a walk may leave it out. */
  readonly canSkipDirectory: (path: string) => boolean;
}

/**
 * moby's ignorefile and patternmatcher: `#` in the first column is a comment, blanks at the ends fall away, the path is
 * cleaned and made relative, `!` negates, later patterns win, and a pattern that matches a parent directory matches
 * everything in it. The context's root is never ignored. Throws E_CONTEXT with the line of a malformed pattern.
 */
export function parseIgnoreFile(text: string, fileName: string): IgnoreFile {
  const rules: Rule[] = [];
  for (const [index, written] of sourceLines(text).entries()) {
    const line = index + 1;
    const trimmed = written.trim();
    if (written.startsWith('#') || trimmed === '') continue;
    const start = written.length - written.trimStart().length + 1;
    const range: SourceRange = {
      source: { name: fileName, text },
      start: { line, column: start },
      end: { line, column: start + trimmed.length },
    };
    rules.push(parseRule(trimmed, line, range));
  }
  return new Matcher(rules);
}

/** The same language without a file around it: `--exclude`. A pattern's line is its position, from 1. Throws E_CONTEXT. */
export function parseIgnorePatterns(patterns: readonly string[]): IgnoreFile {
  const rules = patterns.flatMap((written, index) => {
    const trimmed = written.trim();
    return trimmed === '' ? [] : [parseRule(trimmed, index + 1)];
  });
  return new Matcher(rules);
}

interface Rule {
  readonly pattern: IgnorePattern;
  readonly test: PathTest;
}

function parseRule(text: string, line: number, range?: SourceRange): Rule {
  const negated = text.startsWith('!');
  const written = negated ? text.slice(1).trim() : text;
  if (written === '') {
    throw new BuildError('E_CONTEXT', 'Ignore pattern "!" names no path', {
      hint: 'Write the path behind "!", or take the line out',
      range,
    });
  }
  const path = cleanPath(written);
  try {
    return { pattern: { text, line, negated, path }, test: compileIgnorePattern(path) };
  } catch (error) {
    throw new BuildError('E_CONTEXT', `Ignore pattern "${text}" is not valid`, {
      hint: 'Write [[] for a plain "[", and put "-" in a class behind a backslash',
      range,
      cause: error,
    });
  }
}

/** Go's filepath.Clean, then without its leading slash. */
function cleanPath(path: string): string {
  const clean = posix.normalize(path);
  const withoutEnd = clean.length > 1 ? clean.replace(/\/$/, '') : clean;
  return withoutEnd.length > 1 ? withoutEnd.replace(/^\//, '') : withoutEnd;
}

/** For one directory: which rules match it or one of its parents. */
type Hits = Uint8Array;

/** Memory for remembered directories; far more than ordinary contexts need. */
const MOST_REMEMBERED = 64 * 1024 * 1024;

class Matcher implements IgnoreFile {
  readonly patterns: readonly IgnorePattern[];
  readonly #rules: readonly Rule[];
  readonly #directories = new Map<string, Hits>();

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
    this.patterns = rules.map((rule) => rule.pattern);
  }

  readonly match = (path: string): IgnoreMatch => {
    const decided = this.#decide(this.#clean(path));
    if (decided === undefined) return { ignored: false };
    const pattern = this.patterns[decided];
    return { ignored: pattern?.negated === false, ...(pattern ? { pattern } : {}) };
  };

  readonly canSkipDirectory = (path: string): boolean => {
    const directory = this.#clean(path);
    const decided = this.#decide(directory);
    if (decided === undefined || this.patterns[decided]?.negated !== false) return false;
    // Below the directory the deciding pattern still matches, so only later ones can take something back in.
    return this.patterns
      .slice(decided + 1)
      .every((pattern) => !pattern.negated || !mayMatchBelow(pattern.path, directory));
  };

  #clean(path: string): string {
    return path.length > 1 ? path.replace(/\/+$/, '') : path;
  }

  /** Index of the rule that decides; undefined when none ever changed the state. */
  #decide(path: string): number | undefined {
    if (path === '' || path === '.') return undefined;
    const parent = parentOf(path);
    const inherited = parent === undefined ? undefined : this.#hits(parent);
    let ignored = false;
    let decided: number | undefined;
    for (const [index, rule] of this.#rules.entries()) {
      if (rule.pattern.negated !== ignored) continue;
      if (inherited?.[index] !== 1 && !rule.test(path)) continue;
      ignored = !ignored;
      decided = index;
    }
    return decided;
  }

  #hits(directory: string): Hits {
    const known = this.#directories.get(directory);
    if (known) return known;
    const parent = parentOf(directory);
    const inherited = parent === undefined ? undefined : this.#hits(parent);
    const hits = Uint8Array.from(this.#rules, (rule, index) =>
      inherited?.[index] === 1 || rule.test(directory) ? 1 : 0,
    );
    if (this.#directories.size * hits.length > MOST_REMEMBERED) this.#directories.clear();
    this.#directories.set(directory, hits);
    return hits;
  }
}

function parentOf(path: string): string | undefined {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? undefined : path.slice(0, slash);
}

/** Whether the pattern could match something inside the directory, judged name by name. */
function mayMatchBelow(pattern: string, directory: string): boolean {
  const parts = pattern.split('/');
  for (const [index, name] of directory.split('/').entries()) {
    const part = parts[index];
    // The pattern names a parent: it matches whatever is in it.
    if (part === undefined || part.includes('**')) return true;
    try {
      if (!filepathMatch(part, name)) return false;
    } catch {
      // A class that holds a "/" was cut apart; better to walk than to miss something.
      return true;
    }
  }
  return true;
}
