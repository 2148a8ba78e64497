import { BuildError } from '../errors.ts';
import { sourceLines } from './source.ts';
import type { Statement } from './statement.ts';
import { didYouMean } from './suggest.ts';

/** Commands that people meant to run when a line begins with them. */
const COMMANDS =
  /^(?:apk|apt|apt-get|bash|cat|cd|chmod|chown|cp|curl|dnf|echo|export|git|go|if|fi|for|done|install|ln|make|mkdir|mv|npm|pip|pip3|python|python3|rm|sed|set|sh|tar|then|touch|useradd|wget|yarn|yum)$/;

/** Says what stands there instead of an instruction, and what most likely went wrong. */
export function unknownInstruction(statement: Statement, keywords: readonly string[]): BuildError {
  const { text, range } = statement.keyword;
  const previous = lineBefore(statement);
  const continues =
    previous === undefined ? undefined : `End line ${previous} with "${statement.escape}" to continue it`;
  const shown = text.length > 40 ? `${text.slice(0, 40)}...` : text;
  if (/^[&|;<>(){}\-"'$]/.test(text)) {
    return new BuildError('E_UNKNOWN_INSTRUCTION', `"${shown}" cannot start an instruction`, {
      hint: continues,
      range,
    });
  }
  const hint =
    didYouMean(text, keywords) ??
    (COMMANDS.test(text)
      ? `Write RUN before the command${continues ? `, or: ${lowerFirst(continues)}` : ''}`
      : undefined) ??
    (text.includes('\u00a0') ? 'Replace the no-break space behind the keyword by a plain one' : undefined) ??
    continues ??
    'A Containerfile begins with FROM or ARG';
  return new BuildError('E_UNKNOWN_INSTRUCTION', `Unknown instruction "${shown}"`, { hint, range });
}

/** The line with text above the statement. */
function lineBefore(statement: Statement): number | undefined {
  const { source, start } = statement.keyword.range;
  const lines = sourceLines(source.text);
  for (let number = start.line - 1; number >= 1; number -= 1) {
    const line = (lines[number - 1] ?? '').trim();
    if (line !== '' && !line.startsWith('#')) return number;
  }
  return undefined;
}

function lowerFirst(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}
