import type { BuildError, BuildEvent } from '../../index.ts';
import { renderError } from './error.ts';
import type { Paint } from './paint.ts';
import type { Renderer, Screen } from './renderer.ts';
import { warningLines } from './warning.ts';

export interface QuietOptions {
  readonly screen: Screen;
  readonly paint: Paint;
  readonly isDebug: boolean;
}

/** Warnings and the error only. */
export class QuietRenderer implements Renderer {
  readonly #options: QuietOptions;

  constructor(options: QuietOptions) {
    this.#options = options;
  }

  readonly emit = (event: BuildEvent): void => {
    if (event.type !== 'warning') return;
    this.#options.screen.write(`${warningLines(event, this.#options.paint).join('\n')}\n`);
  };

  built(): void {}

  failed(error: BuildError): void {
    const { screen, paint, isDebug } = this.#options;
    screen.write(renderError(error, { paint, isDebug, hasTail: true }));
  }

  close(): void {}
}
