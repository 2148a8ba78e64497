import type { CommandLine } from './instructions.ts';
import { parseJsonForm } from './json-form.ts';
import type { Span } from './located-text.ts';
import type { Statement } from './statement.ts';

/** Exec form when the text is a JSON array, else shell form with the text as it stands. */
export function parseCommandLine(statement: Statement, span: Span = statement.args): CommandLine {
  const words = parseJsonForm(statement.text, span);
  if (words) return { form: 'exec', argv: words.map((word) => word.text) };
  return {
    form: 'shell',
    script: statement.text.text.slice(span.from, span.to),
    heredocs: statement.heredocs.map((placed) => placed.heredoc),
  };
}
