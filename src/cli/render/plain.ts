import type { BuildError, BuildEvent } from '../../index.ts';
import { cachedText, missLines } from './cache.ts';
import { renderError } from './error.ts';
import { formatElapsed } from './format.ts';
import { harmless } from './lines.ts';
import type { Paint } from './paint.ts';
import type { BuiltSummary, Renderer, Screen } from './renderer.ts';
import { Steps } from './steps.ts';
import { summaryLine } from './summary.ts';
import { type Transfer, transferKey, transferLine } from './transfers.ts';
import { warningLines } from './warning.ts';

/** In front of the shell of a step that failed. */
export const SHELL = 'failed; this is a shell in its root, and what is done in it is thrown away. End it with "exit"';
/** A step that writes nothing for so long gets a line, so that CI systems do not take it for dead. */
const HEARTBEAT_MS = 30_000;

interface Running {
  readonly startedAt: number;
  lastLineAt: number;
}

export interface PlainOptions {
  readonly screen: Screen;
  readonly paint: Paint;
  readonly isDebug: boolean;
  readonly explainsCache?: boolean;
}

/** Lines that never change once written: for CI, files and pipes. */
export class PlainRenderer implements Renderer {
  readonly #options: PlainOptions;
  readonly #steps = new Steps();
  readonly #announced = new Set<string>();
  readonly #running = new Map<string, Running>();
  readonly #transfers = new Map<string, Transfer['state']>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: PlainOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.heartbeat(), 1000);
    this.#timer.unref();
  }

  readonly emit = (event: BuildEvent): void => {
    switch (event.type) {
      case 'plan':
        return this.#steps.plan(event);
      case 'step.started':
        this.#running.set(event.step, {
          startedAt: this.#options.screen.now(),
          lastLineAt: this.#options.screen.now(),
        });
        return this.#announce(event.step);
      case 'step.cached':
        return this.#say(event.step, cachedText(event, this.#options.explainsCache === true));
      case 'step.miss':
        for (const line of missLines(event, this.#options.explainsCache === true)) this.#say(event.step, line);
        return;
      case 'step.output':
        return this.#output(event.step, this.#steps.lines(event));
      case 'step.finished':
        return this.#end(event.step, `done ${formatElapsed(event.durationMs)}`);
      case 'step.shell':
        // nothing is said of it meanwhile
        this.#running.delete(event.step);
        if (event.state === 'opened') this.#say(event.step, SHELL);
        return;
      case 'step.failed':
        return this.#end(event.step, `failed after ${formatElapsed(event.durationMs)}`);
      case 'transfer':
        return this.#transfer(event);
      case 'warning':
        return this.#write(...warningLines(event, this.#options.paint));
      case 'delegated':
        return;
      case 'info':
        return this.#write(harmless(event.message));
      case 'debug':
        if (this.#options.isDebug) this.#write(`debug ${event.scope}: ${harmless(event.message)}`);
        return;
      default:
        return event satisfies never;
    }
  };

  /** Says that silent steps are alive; called every second. */
  heartbeat(): void {
    const now = this.#options.screen.now();
    for (const [step, running] of this.#running) {
      if (now - running.lastLineAt < HEARTBEAT_MS) continue;
      running.lastLineAt = now;
      this.#say(step, `still running, ${formatElapsed(now - running.startedAt)}`);
    }
  }

  built(summary: BuiltSummary): void {
    this.#write(summaryLine(summary));
  }

  failed(error: BuildError): void {
    const { screen, paint, isDebug } = this.#options;
    screen.write(renderError(error, { paint, isDebug, hasTail: true }));
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #announce(step: string): void {
    if (this.#announced.has(step)) return;
    this.#announced.add(step);
    const { number, title } = this.#steps.get(step);
    this.#write(`#${number} ${title}`);
  }

  #say(step: string, text: string): void {
    this.#announce(step);
    this.#write(`#${this.#steps.get(step).number} ${text}`);
  }

  #output(step: string, lines: readonly string[]): void {
    if (lines.length === 0) return;
    const running = this.#running.get(step);
    if (running) running.lastLineAt = this.#options.screen.now();
    const { number } = this.#steps.get(step);
    this.#announce(step);
    this.#write(...lines.map((line) => `#${number} | ${line}`));
  }

  #end(step: string, text: string): void {
    this.#output(step, this.#steps.end(step));
    this.#running.delete(step);
    this.#say(step, text);
  }

  /** Start, end and each new trial; never the bytes in between. */
  #transfer(event: Transfer): void {
    const before = this.#transfers.get(transferKey(event));
    this.#transfers.set(transferKey(event), event.state);
    if (event.state !== 'waiting' && event.state !== before) this.#write(transferLine(event));
  }

  #write(...lines: readonly string[]): void {
    this.#options.screen.write(lines.map((line) => `${line}\n`).join(''));
  }
}
