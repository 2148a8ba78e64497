import type { SourceRange } from '../../errors.ts';
import { codeFrame } from '../../parser/index.ts';
import type { LintWarning } from './findings.ts';
import type { LintResult } from './lint.ts';
import { RULES } from './rules.ts';

/** The report of `--check`; ends with a line feed. The error of an unbuildable file is not in it. */
export function lintText({ warnings, error }: LintResult): string {
  if (warnings.length === 0) return error ? '' : 'Check complete, no warnings found.\n';
  const count = warnings.length === 1 ? '1 warning has' : `${warnings.length} warnings have`;
  return `${[`Check complete, ${count} been found!`, ...warnings.map(warningText)].join('\n\n')}\n`;
}

function warningText({ rule, detail, range, hint }: LintWarning): string {
  return [
    `WARNING: ${rule}: ${detail}`,
    RULES[rule],
    `${range.source.name}:${range.start.line}`,
    codeFrame(range),
    ...(hint === undefined ? [] : [`next: ${hint}`]),
  ].join('\n');
}

/** BuildKit's shape (`--call=check,format=json`), without links; columns count from 0 there. */
export function lintJson({ sources, warnings, error }: LintResult): string {
  // A trigger of a base image is a text of its own.
  const texts = [...new Set([...sources, ...warnings.map(({ range }) => range.source)])];
  const place = (range: SourceRange): object => ({ sourceIndex: texts.indexOf(range.source), ...location(range) });
  const report = {
    warnings: warnings.map(({ rule, detail, range, hint }) => ({
      ruleName: rule,
      description: RULES[rule],
      detail,
      ...(hint === undefined ? {} : { hint }),
      location: place(range),
    })),
    sources: texts.map(sourceInfo),
    ...(error === undefined
      ? {}
      : { buildError: { message: error.message, ...(error.range ? { location: place(error.range) } : {}) } }),
  };
  return `${JSON.stringify(report, undefined, 2)}\n`;
}

/** A file as BuildKit's JSON holds it: bytes in base64. */
export const sourceInfo = ({
  name,
  text,
}: SourceRange['source']): { readonly filename: string; readonly data: string } => ({
  filename: name,
  data: Buffer.from(text).toString('base64'),
});

export const location = ({ start, end }: SourceRange): object => ({
  ranges: [
    {
      start: { line: start.line, character: start.column - 1 },
      end: { line: end.line, character: end.column - 1 },
    },
  ],
});
