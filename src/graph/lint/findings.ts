import type { SourceFile, SourceRange } from '../../errors.ts';
import { type CheckOptions, isChecked, withComments } from './check-options.ts';
import type { LintRule } from './rules.ts';

export interface LintWarning {
  readonly rule: LintRule;
  /** BuildKit's text. */
  readonly detail: string;
  readonly range: SourceRange;
  /** What BuildKit does not say: the pattern that hides a file, the line that is empty. */
  readonly hint?: string;
}

export interface Place {
  readonly range: SourceRange;
  /** Comments above the instruction: they may skip a rule. */
  readonly comments?: readonly string[];
  readonly hint?: string | undefined;
}

/** Collects what the rules find, unless the rule is skipped there; each place and text once. */
export class Findings {
  readonly #options: CheckOptions;
  readonly #byKey = new Map<string, LintWarning>();

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  report(rule: LintRule, detail: string, { range, comments = [], hint }: Place): void {
    if (!isChecked(rule, withComments(this.#options, comments))) return;
    const { source, start } = range;
    const key = JSON.stringify([rule, detail, source.name, start.line, start.column]);
    if (!this.#byKey.has(key)) this.#byKey.set(key, { rule, detail, range, ...(hint === undefined ? {} : { hint }) });
  }

  /** By place in the files, as BuildKit prints them; those of other texts (triggers of a base) come first. */
  list(sources: readonly SourceFile[]): readonly LintWarning[] {
    const inOrder = ({ range: a }: LintWarning, { range: b }: LintWarning): number =>
      sources.indexOf(a.source) - sources.indexOf(b.source) ||
      a.start.line - b.start.line ||
      a.start.column - b.start.column;
    return [...this.#byKey.values()].sort(inOrder);
  }
}
