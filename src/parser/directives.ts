import { BuildError, type SourceFile, type SourceRange } from '../errors.ts';
import type { Directives } from './instructions.ts';
import { sourceLines } from './source.ts';

const DIRECTIVE = /^\s*#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;
const KNOWN = new Set(['syntax', 'escape', 'check']);

/**
 * Parser directives (`# key=value`) stand above everything else: any other line, a plain comment or an unknown key
 * ends their region. After a `#!` line only `syntax` and `check` count (BuildKit's rule).
 */
export function readDirectives(source: SourceFile): { directives: Directives; lastLine: number } {
  const lines = sourceLines(source.text);
  const hasShebang = lines[0]?.startsWith('#!') ?? false;
  const found = new Map<string, string>();
  let lastLine = 0;
  for (let index = hasShebang ? 1 : 0; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    const [, written = '', value = ''] = DIRECTIVE.exec(line) ?? [];
    const key = written.toLowerCase();
    if (!KNOWN.has(key)) break;
    const range = lineRange(source, index + 1, line.length);
    if (found.has(key)) throw givenTwice(key, range);
    if (key === 'escape') checkEscape(value, range);
    found.set(key, value);
    lastLine = index + 1;
  }
  const syntax = found.get('syntax')?.split(' ')[0];
  const check = found.get('check')?.split(' ')[0];
  const directives: Directives = {
    ...(syntax === undefined ? {} : { syntax }),
    escape: found.get('escape') === '`' && !hasShebang ? '`' : '\\',
    ...(check === undefined ? {} : { check }),
  };
  return { directives, lastLine };
}

function givenTwice(key: string, range: SourceRange): BuildError {
  return new BuildError('E_PARSE', `Parser directive "${key}" is given twice`, { hint: 'Keep one of them', range });
}

function checkEscape(value: string, range: SourceRange): void {
  if (value === '\\' || value === '`') return;
  throw new BuildError('E_PARSE', `Parser directive "escape" cannot be "${value}"`, {
    hint: 'Use \\ or `',
    range,
  });
}

function lineRange(source: SourceFile, line: number, length: number): SourceRange {
  return { source, start: { line, column: 1 }, end: { line, column: length + 1 } };
}
