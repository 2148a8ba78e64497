import { stripVTControlCharacters } from 'node:util';

/** A line without an end is cut here, so that memory stays bounded. */
const MAX_LINE = 16_384;

/** Turns chunks into lines; a character cut in two by a chunk's border comes out whole. */
export class LineSplitter {
  readonly #decoder = new TextDecoder();
  #rest = '';

  /** The lines that this chunk completes, harmless to print. */
  push(chunk: Uint8Array): string[] {
    this.#rest += this.#decoder.decode(chunk, { stream: true });
    const lines = this.#rest.split('\n');
    this.#rest = lines.pop() ?? '';
    while (this.#rest.length > MAX_LINE) {
      lines.push(this.#rest.slice(0, MAX_LINE));
      this.#rest = this.#rest.slice(MAX_LINE);
    }
    return lines.map(cleanLine);
  }

  /** What stands after the last newline. */
  end(): string[] {
    const rest = this.#rest + this.#decoder.decode();
    this.#rest = '';
    return rest === '' ? [] : [cleanLine(rest)];
  }
}

/** What a terminal would show of a line that rewrote itself with carriage returns, made harmless. */
function cleanLine(line: string): string {
  const shown = line.replace(/\r+$/, '');
  return harmless(shown.slice(shown.lastIndexOf('\r') + 1));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this finds
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Text of a step or a file without escape sequences; other control characters and bidi overrides are made visible. */
export function harmless(text: string): string {
  return stripVTControlCharacters(text).replace(CONTROL, (character) => {
    const code = character.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}
