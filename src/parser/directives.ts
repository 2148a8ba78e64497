import { BuildError, type SourceFile, type SourceRange } from '../errors.ts';
import { foreignFrontEnd, otherLanguage, syntaxOfOtherLanguage } from './front-end.ts';
import type { Directives, ParseWarning } from './instructions.ts';
import { sourceLines } from './source.ts';
import { suggest } from './suggest.ts';

const DIRECTIVE = /^\s*#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S(?:.*\S)?)\s*$/;
const KNOWN = new Set(['syntax', 'escape', 'check']);

export interface FoundDirectives {
  readonly directives: Directives;
  /** So many lines at the top are directives (or `#!`), no comments of the first instruction. */
  readonly lastLine: number;
  readonly warnings: readonly ParseWarning[];
}

interface Found {
  readonly value: string;
  readonly range: SourceRange;
}

/**
 * Parser directives (`# key=value`) stand above everything else: any other line, a plain comment or an unknown key
 * ends their region. After a `#!` line only `syntax` and `check` count (BuildKit's rule). Throws E_PARSE for a key
 * given twice or a bad escape character, E_UNSUPPORTED for a file in the language of another front-end.
 */
export function readDirectives(source: SourceFile): FoundDirectives {
  const lines = sourceLines(source.text);
  const hasShebang = lines[0]?.startsWith('#!') ?? false;
  const found = new Map<string, Found>();
  let next = hasShebang ? 1 : 0;
  for (; next < lines.length; next += 1) {
    const [, written = '', value = ''] = DIRECTIVE.exec(lines[next] ?? '') ?? [];
    const key = written.toLowerCase();
    if (!KNOWN.has(key)) break;
    const range = lineRange(source, next + 1, lines[next] ?? '');
    if (found.has(key)) throw givenTwice(key, range);
    if (key === 'escape') checkEscape(value, range);
    found.set(key, { value, range });
  }
  const syntax = found.get('syntax');
  const other = syntax ? undefined : syntaxOfOtherLanguage(hasShebang ? lines.slice(1) : lines);
  if (other !== undefined) {
    throw otherLanguage(other, lineRange(source, hasShebang ? 2 : 1, lines[hasShebang ? 1 : 0] ?? ''));
  }
  const escapeCharacter = found.get('escape')?.value === '`' && !hasShebang ? '`' : '\\';
  return {
    directives: { ...firstWord('syntax', syntax), escape: escapeCharacter, ...firstWord('check', found.get('check')) },
    lastLine: found.size === 0 ? 0 : next,
    warnings: [
      ...(syntax ? foreignFrontEnd(syntax.value.split(' ')[0] ?? '', syntax.range) : []),
      ...withoutEffect(source, { lines, from: hasShebang ? 1 : next, escapeCharacter }),
    ],
  };
}

function firstWord(key: 'syntax' | 'check', found: Found | undefined): Partial<Directives> {
  return found ? { [key]: found.value.split(' ')[0] } : {};
}

interface Comments {
  readonly lines: readonly string[];
  readonly from: number;
  readonly escapeCharacter: string;
}

/** Comments above the first instruction that look like a directive which would have changed the file's meaning. */
function withoutEffect(source: SourceFile, { lines, from, escapeCharacter }: Comments): ParseWarning[] {
  const warnings: ParseWarning[] = [];
  for (let index = from; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    if (line.trim() !== '' && !/^\s*#/.test(line)) break;
    const [, key = '', value = ''] = DIRECTIVE.exec(line) ?? [];
    const meant = KNOWN.has(key.toLowerCase()) ? key.toLowerCase() : suggest(key, KNOWN);
    const range = lineRange(source, index + 1, line);
    if (meant === key.toLowerCase() && meant === 'escape' && value !== escapeCharacter) {
      warnings.push({ message: 'Directive "escape" has no effect here: it must stand at the top of the file', range });
    } else if (meant !== undefined && meant !== key.toLowerCase() && index === from) {
      warnings.push({
        message: `Unknown parser directive "${key}" is a plain comment: did you mean "${meant}"?`,
        range,
      });
    }
  }
  return warnings;
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

function lineRange(source: SourceFile, line: number, text: string): SourceRange {
  return { source, start: { line, column: 1 }, end: { line, column: text.length + 1 } };
}
