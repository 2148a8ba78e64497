import { isUtf8 } from 'node:buffer';
import { BuildError, type SourceFile, type SourceRange } from '../errors.ts';

/**
 * The text of a Containerfile. It must be UTF-8: a byte that is none would reach names and commands as another
 * character. Throws E_PARSE with the place of the first such byte.
 */
export function decodeContainerfile(bytes: Uint8Array, name: string): SourceFile {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const source: SourceFile = { name, text: buffer.toString('utf8') };
  const wide = buffer.subarray(0, 2).toString('hex');
  if (wide === 'fffe' || wide === 'feff') {
    throw notUtf8(source, 0, { problem: 'is UTF-16', from: wide === 'fffe' ? 'UTF-16LE' : 'UTF-16BE' });
  }
  if (!isUtf8(buffer)) {
    throw notUtf8(source, firstReplaced(buffer, source.text), { problem: 'is not UTF-8', from: 'ISO-8859-1' });
  }
  return source;
}

/** Text with a NUL byte is not text, and no command line can carry one. Throws E_PARSE with its place. */
export function refuseNul(source: SourceFile): void {
  const at = source.text.indexOf('\0');
  if (at < 0) return;
  throw new BuildError('E_PARSE', `"${source.name}" has a NUL byte`, {
    hint: 'Save it as plain UTF-8 text; UTF-16 has such bytes, and so has a binary file',
    range: rangeOf(source, at),
  });
}

/** Where decoding put U+FFFD for something else. */
function firstReplaced(bytes: Buffer, text: string): number {
  let offset = 0;
  let from = 0;
  for (let at = text.indexOf('\uFFFD'); at >= 0; at = text.indexOf('\uFFFD', at + 1)) {
    offset += Buffer.byteLength(text.slice(from, at));
    if (bytes.toString('hex', offset, offset + 3) !== 'efbfbd') return at;
    from = at;
  }
  return 0;
}

function notUtf8(source: SourceFile, at: number, { problem, from }: { problem: string; from: string }): BuildError {
  return new BuildError('E_PARSE', `"${source.name}" ${problem}`, {
    hint: `Save it as UTF-8, for example with iconv -f ${from} -t UTF-8`,
    range: rangeOf(source, at),
  });
}

function rangeOf(source: SourceFile, at: number): SourceRange {
  const before = source.text.slice(0, at).replace(/^\uFEFF/, '');
  const line = before.split('\n').length;
  const column = before.length - before.lastIndexOf('\n');
  return { source, start: { line, column }, end: { line, column: column + 1 } };
}
