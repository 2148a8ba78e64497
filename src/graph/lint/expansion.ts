import { type ExpandOptions, expand, type Word } from '../../parser/index.ts';
import { lookupVariable, type Scope } from '../scope.ts';

export interface Expanded {
  readonly value: string;
  /** Variables that had a value. */
  readonly matched: ReadonlySet<string>;
  /** Variables without a value and without a default in the expression. */
  readonly unmatched: ReadonlySet<string>;
}

export function expandQuietly(word: Word, scope: Scope, escapeCharacter: ExpandOptions['escape']): string {
  return expandNoting(word, scope, escapeCharacter).value;
}

/** Expands, and says which variables it met. Throws `E_EXPANSION`. */
export function expandNoting(word: Word, scope: Scope, escapeCharacter: ExpandOptions['escape']): Expanded {
  return noting(scope, (lookup) => expand(word.text, { ...lookup, escape: escapeCharacter, range: word.range }));
}

type Lookup = Pick<ExpandOptions, 'scope' | 'onUndefined'>;

export function noting(scope: Scope, read: (lookup: Lookup) => string): Expanded {
  const matched = new Set<string>();
  const unmatched = new Set<string>();
  const value = read({
    scope: (name) => {
      const found = lookupVariable(scope, name);
      if (found !== undefined) matched.add(name);
      return found;
    },
    onUndefined: (name) => unmatched.add(name),
  });
  return { value, matched, unmatched };
}
