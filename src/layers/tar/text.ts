import { damaged } from './damaged.ts';

// Without ignoreBOM a name that starts with U+FEFF would lose it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const ASCII = /^[\0-\x7f]*$/;
/** ASCII without NUL. */
const PLAIN = /^[^\0\x80-\xff]*$/;

export const isAscii = (text: string): boolean => ASCII.test(text);

/**
 * A name as text. Names that are not UTF-8 are refused, never changed: a string cannot carry their bytes to a system
 * call. The error shows them with the odd bytes as `\xNN`.
 */
export function decodeText(bytes: Buffer, what: string): string {
  const ascii = bytes.toString('latin1');
  if (PLAIN.test(ascii)) return ascii;
  try {
    const text = utf8.decode(bytes);
    if (text.includes('\0')) throw damaged(`${what} ${quoted(bytes)} contains a NUL byte`);
    return text;
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw damaged(`${what} ${quoted(bytes)} is not UTF-8`, cause);
  }
}

function quoted(bytes: Buffer): string {
  const shown = bytes.subarray(0, 200).toString('latin1');
  const escaped = shown.replace(/[^ -~]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `"${escaped}"`;
}

const NEEDS_CLEANING = /^\/|\/\/|(?:^|\/)\.\.?(?:\/|$)|\/$/;

/**
 * Relative and lexically clean, as Go's path.Clean makes it: `./a//b/` is `a/b`, `/a/../b` is `b`. What climbs above the
 * root keeps its leading `..` (`/../x` is `../x`), so that whoever applies the entry can refuse it. The root is ''.
 */
export function cleanPath(path: string): string {
  if (!NEEDS_CLEANING.test(path)) return path;
  const kept: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name === '..' && kept.length > 0 && kept.at(-1) !== '..') kept.pop();
    else kept.push(name);
  }
  return kept.join('/');
}
