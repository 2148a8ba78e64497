import type { SourceFile } from '../../src/errors.ts';
import { readDirectives } from '../../src/parser/directives.ts';
import { parseJsonForm } from '../../src/parser/json-form.ts';
import { type LogicalLine, readLogicalLines } from '../../src/parser/lines.ts';
import { isBlank, skipBlanks } from '../../src/parser/located-text.ts';
import { argsText, type SplitOptions, type Statement, splitStatement } from '../../src/parser/statement.ts';
import { splitAtBlanks, splitQuoted } from '../../src/parser/words.ts';

/** The file in the form of BuildKit's `Node.Dump`: what its own parser tests compare. */
export function buildkitDump(source: SourceFile): string {
  const escapeCharacter = readDirectives(source).directives.escape;
  const { lines } = readLogicalLines(source, { escape: escapeCharacter });
  return lines.map((line) => dumpStatement(line, { escape: escapeCharacter })).join('\n');
}

function dumpStatement(line: LogicalLine, options: SplitOptions): string {
  const statement = splitStatement(line, options);
  const keyword = statement.keyword.text.toLowerCase();
  const flags = statement.flags.map((flag) => goQuote(`--${flag.name}${flag.value ? `=${flag.value.text}` : ''}`));
  const head = flags.length > 0 ? `${keyword} [${flags.join(' ')}]` : keyword;
  if (keyword === 'onbuild') return `(${head} ${dumpStatement(line, { ...options, from: statement.args.from })})`;
  return `(${[head, ...args(statement, keyword).map(goQuote)].join(' ')})`;
}

function args(statement: Statement, keyword: string): string[] {
  const text = argsText(statement);
  const json = (): string[] | undefined => parseJsonForm(statement.text, statement.args)?.map((word) => word.text);
  switch (keyword) {
    case 'env':
    case 'label':
      return pairs(statement);
    case 'arg':
      return words(statement);
    case 'from':
    case 'expose':
      return splitAtBlanks(statement.text, statement.args).map((word) => word.text);
    case 'copy':
    case 'add':
    case 'volume':
      return json() ?? splitAtBlanks(statement.text, statement.args).map((word) => word.text);
    case 'healthcheck':
      return healthcheck(statement);
    case 'run':
    case 'cmd':
    case 'entrypoint':
    case 'shell':
      return json() ?? (text === '' ? [] : [text]);
    default:
      return text === '' ? [] : [text];
  }
}

function words(statement: Statement): string[] {
  const { text } = statement.text;
  return splitQuoted(text, statement.args, statement.escape).map(({ from, to }) => text.slice(from, to));
}

function pairs(statement: Statement): string[] {
  if (words(statement)[0]?.includes('=')) {
    return words(statement).flatMap((word) => [
      word.slice(0, word.indexOf('=')),
      word.slice(word.indexOf('=') + 1),
      '=',
    ]);
  }
  const [, key = '', value = ''] = /^(\S+)\s+(.*)$/s.exec(argsText(statement)) ?? [];
  return [key, value, ''];
}

function healthcheck(statement: Statement): string[] {
  const { text, args: span } = statement;
  let at = span.from;
  while (at < span.to && !isBlank(text.text[at])) at += 1;
  if (at === span.from) return [];
  const rest = { from: skipBlanks(text.text, at), to: span.to };
  const type = text.text.slice(span.from, at);
  if (rest.from >= rest.to) return [type];
  const json = parseJsonForm(text, rest)?.map((word) => word.text);
  return [type, ...(json ?? [text.text.slice(rest.from, rest.to)])];
}

/** Go's strconv.Quote, as far as these files need it. */
function goQuote(text: string): string {
  return JSON.stringify(text).replace(/\\u00([01][0-9a-f])/g, '\\x$1');
}
