import { BuildError } from '../errors.ts';
import { parseFlags } from './flags.ts';
import type { ArgInstruction, EnvInstruction, KeyValue, LabelInstruction, Word } from './instructions.ts';
import { isBlank, type Span, skipBlanks } from './located-text.ts';
import { rawText, type Statement } from './statement.ts';
import { cutAtEquals, splitQuoted, wordAt } from './words.ts';

export function parseEnv(statement: Statement): EnvInstruction {
  return { kind: 'ENV', pairs: parsePairs(statement, 'ENV'), ...located(statement) };
}

export function parseLabel(statement: Statement): LabelInstruction {
  return { kind: 'LABEL', pairs: parsePairs(statement, 'LABEL'), ...located(statement) };
}

export function parseArg(statement: Statement): ArgInstruction {
  parseFlags(statement, 'ARG');
  const words = splitQuoted(statement.text.text, statement.args, statement.escape);
  if (words.length === 0) throw nothingGiven(statement, 'ARG', 'Write ARG NAME or ARG NAME=DEFAULT');
  const args = words.map((span) => {
    const word = wordAt(statement.text, span);
    const cut = cutAtEquals(statement.text, span);
    const name = cut?.key.text ?? word.text;
    if (name === '') throw blankName('ARG', word);
    return { name, ...(cut ? { default: cut.value } : {}), range: word.range };
  });
  return { kind: 'ARG', args, ...located(statement) };
}

function located(statement: Statement): Pick<EnvInstruction, 'range' | 'raw' | 'comments'> {
  return { range: statement.range, raw: rawText(statement), comments: statement.comments };
}

/** The first word decides: with `=` it is `name=value ...`, without it is the old form `name the rest of the line`. */
function parsePairs(statement: Statement, instruction: 'ENV' | 'LABEL'): KeyValue[] {
  parseFlags(statement, instruction);
  const spans = splitQuoted(statement.text.text, statement.args, statement.escape);
  if (!spans[0]) throw nothingGiven(statement, instruction, `Write ${instruction} NAME=VALUE`);
  const first = wordAt(statement.text, spans[0]);
  const pairs = first.text.includes('=')
    ? spans.map((span) => newForm(statement, instruction, span))
    : [oldForm(statement, instruction, first)];
  for (const { key } of pairs) if (key.text === '') throw blankName(instruction, first);
  return pairs;
}

function newForm(statement: Statement, instruction: string, span: Span): KeyValue {
  const cut = cutAtEquals(statement.text, span);
  if (cut) return cut;
  const word = wordAt(statement.text, span);
  throw new BuildError('E_PARSE', `${instruction} cannot find "=" in "${word.text}"`, {
    hint: 'Every word must be NAME=VALUE; put a value with blanks in double quotes',
    range: word.range,
  });
}

function oldForm(statement: Statement, instruction: string, first: Word): KeyValue {
  const { text, args } = statement;
  let at = args.from;
  while (at < args.to && !isBlank(text.text[at])) at += 1;
  const from = skipBlanks(text.text, at);
  if (from >= args.to) {
    throw new BuildError('E_PARSE', `${instruction} gives "${first.text}" no value`, {
      hint: `Write ${instruction} ${first.text}=VALUE`,
      range: first.range,
    });
  }
  return { key: wordAt(text, { from: args.from, to: at }), value: wordAt(text, { from, to: args.to }) };
}

function nothingGiven(statement: Statement, instruction: string, hint: string): BuildError {
  return new BuildError('E_PARSE', `${instruction} needs at least one argument`, { hint, range: statement.range });
}

function blankName(instruction: string, word: Word): BuildError {
  return new BuildError('E_PARSE', `${instruction} has a blank name in "${word.text}"`, {
    hint: 'Write a name before "="',
    range: word.range,
  });
}
