import type { SourceRange } from '../errors.ts';
import { type ExpandOptions, expand, type Word } from '../parser/index.ts';
import { lookupVariable, type Scope } from './scope.ts';

export interface ExpandSettings {
  readonly scope: Scope;
  readonly escape: '\\' | '`';
  /** Told about each variable without a value; without it such a one is just empty: the lint's UndefinedVar says so. */
  readonly onUndefined?: (name: string) => void;
}

export const expandWord = (word: Word, settings: ExpandSettings): string =>
  expand(word.text, expansionOf(word.range, settings));

/** Options for the parser's expansion functions. */
export function expansionOf(range: SourceRange, { scope, ...settings }: ExpandSettings): ExpandOptions {
  return { ...settings, scope: (name: string) => lookupVariable(scope, name), range };
}
