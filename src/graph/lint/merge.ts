import type { LintWarning } from './findings.ts';
import type { LintResult } from './lint.ts';

/** What several looks at one file found, for other platforms: each finding once. */
export function mergedLint(results: readonly LintResult[]): LintResult {
  const warnings = new Map(results.flatMap((result) => result.warnings).map((warning) => [keyOf(warning), warning]));
  const error = results.find((result) => result.error)?.error;
  const violation = results.find((result) => result.violation)?.violation;
  return {
    sources: results[0]?.sources ?? [],
    warnings: [...warnings.values()],
    ...(error ? { error } : {}),
    ...(violation ? { violation } : {}),
  };
}

const keyOf = ({ rule, detail, range: { source, start } }: LintWarning): string =>
  JSON.stringify([rule, detail, source.name, start.line, start.column]);
