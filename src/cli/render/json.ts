import { TextDecoder } from 'node:util';
import type { BuildError, BuildEvent, SourceRange } from '../../index.ts';
import type { BuiltSummary, Renderer, Screen } from './renderer.ts';

/** Raised when a reader of an older version could misread a line. */
const FORMAT_VERSION = 1;

export interface JsonOptions {
  readonly screen: Screen;
  /** false where a parent process has written the first line already. */
  readonly hasHeader: boolean;
}

/** One JSON object a line; the first is `{"type":"format","version":1}`. */
export class JsonRenderer implements Renderer {
  readonly #screen: Screen;
  readonly #decoders = new Map<string, TextDecoder>();

  constructor({ screen, hasHeader }: JsonOptions) {
    this.#screen = screen;
    if (hasHeader) this.#write({ type: 'format', version: FORMAT_VERSION });
  }

  readonly emit = (event: BuildEvent): void => {
    if (event.type === 'delegated') return;
    if (event.type === 'step.output') {
      const { chunk, ...rest } = event;
      const text = this.#decoder(`${event.step} ${event.stream}`).decode(chunk, { stream: true });
      if (text !== '') this.#write({ ...rest, text });
      return;
    }
    const range = event.type === 'warning' ? event.range : undefined;
    this.#write({ ...event, ...(range && { range: flatRange(range) }) });
  };

  built({ kind: _, title: __, ...result }: BuiltSummary): void {
    this.#write({ type: 'built', ...result });
  }

  failed({ code, exitCode, message, hint, range, fields, outputTail }: BuildError): void {
    const place = range === undefined ? undefined : flatRange(range);
    this.#write({ type: 'error', code, exitCode, message, hint, range: place, fields, outputTail });
  }

  close(): void {}

  #decoder(key: string): TextDecoder {
    const decoder = this.#decoders.get(key) ?? new TextDecoder();
    this.#decoders.set(key, decoder);
    return decoder;
  }

  #write(value: object): void {
    this.#screen.write(`${JSON.stringify(value)}\n`);
  }
}

function flatRange({ source, start, end }: SourceRange): object {
  return { file: source.name, line: start.line, column: start.column, endLine: end.line, endColumn: end.column };
}
