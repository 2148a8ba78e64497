import { BuildError, type SourceRange } from '../errors.ts';
import type { ParseWarning } from './instructions.ts';

/** `docker/dockerfile:1`, its channels, mirrors of it, and BuildKit's built-in `dockerfile.v0`. */
const OWN = /^dockerfile(?:[.-].*)?$/;

/**
 * True for a `# syntax=` (or BUILDKIT_SYNTAX) that names the language of this parser: every version of it, since the
 * newest is what is built in.
 */
export function isOwnFrontEnd(reference: string): boolean {
  const [name = ''] = reference.split('@');
  const last = name.slice(name.lastIndexOf('/') + 1);
  return OWN.test(last.split(':')[0] ?? '');
}

/** Another front-end may read another language. The file is read as a Containerfile all the same, so say it. */
export function foreignFrontEnd(reference: string, range: SourceRange): ParseWarning[] {
  if (isOwnFrontEnd(reference)) return [];
  return [{ message: `Front-end "${reference}" is not used: the file is read as a Containerfile`, range }];
}

const C_STYLE = /^\/\/\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;
const KEYS = new Set(['syntax', 'escape', 'check']);

/**
 * The front-end that a file in another language asks for, as BuildKit finds it: `// syntax=x` at the top, or a JSON
 * object with a `syntax`. undefined: nothing of the kind.
 */
export function syntaxOfOtherLanguage(lines: readonly string[]): string | undefined {
  for (const line of lines) {
    const [, key = '', value = ''] = C_STYLE.exec(line) ?? [];
    if (key.toLowerCase() === 'syntax') return value.split(' ')[0];
    if (!KEYS.has(key.toLowerCase())) break;
  }
  const text = lines.join('\n');
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    const parsed: { syntax?: unknown } = JSON.parse(text);
    return typeof parsed.syntax === 'string' ? parsed.syntax : undefined;
  } catch {
    return undefined;
  }
}

export function otherLanguage(reference: string, range: SourceRange): BuildError {
  const own = isOwnFrontEnd(reference);
  return new BuildError('E_UNSUPPORTED', `The file is not a Containerfile: it asks for the front-end "${reference}"`, {
    hint: own ? `Write "# syntax=${reference}" in a Containerfile` : 'Build it with BuildKit, or write a Containerfile',
    range,
  });
}
