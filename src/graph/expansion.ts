import type { SourceRange } from '../errors.ts';
import { type ExpandOptions, expand, suggest, type Word } from '../parser/index.ts';
import type { GraphWarning } from './graph.ts';
import { lookupVariable, type Scope, variableNames } from './scope.ts';

export interface ExpandSettings {
  readonly scope: Scope;
  readonly escape: '\\' | '`';
  readonly warn: (warning: GraphWarning) => void;
  /** Before the first stage, or in FROM. */
  readonly isGlobal?: boolean;
}

const SHORTEST_TO_CORRECT = 3;

export const expandWord = (word: Word, settings: ExpandSettings): string =>
  expand(word.text, expansionOf(word.range, settings));

const declare = (name: string, isGlobal: boolean): string =>
  isGlobal
    ? `Declare it with ARG ${name} before the first FROM`
    : `Declare it with ARG ${name} in this stage, or set it with ENV`;

/** Options for the parser's expansion functions: an undefined variable is empty, and a warning. */
export function expansionOf(range: SourceRange, settings: ExpandSettings): ExpandOptions {
  const { scope, warn, isGlobal = false } = settings;
  return {
    scope: (name: string) => lookupVariable(scope, name),
    escape: settings.escape,
    range,
    onUndefined: (name: string) => {
      // Declared without a value: empty on purpose, as far as anybody can tell.
      if (scope.args.has(name)) return;
      // One wrong letter in a short name is another name.
      const near = name.length < SHORTEST_TO_CORRECT ? undefined : suggest(name, variableNames(scope));
      warn({
        message: `Variable "${name}" is not set here and expands to nothing`,
        range,
        hint: near === undefined ? declare(name, isGlobal) : `Did you mean "${near}"?`,
      });
    },
  };
}
