import type { BuildError, BuildEvent } from '../../index.ts';
import { cachedText, missLines } from './cache.ts';
import { renderError } from './error.ts';
import { formatElapsed, formatSize } from './format.ts';
import { harmless } from './lines.ts';
import { LiveArea, type ScreenSize } from './live-area.ts';
import type { Paint } from './paint.ts';
import { SHELL } from './plain.ts';
import type { BuiltSummary, Renderer, Screen } from './renderer.ts';
import { Steps } from './steps.ts';
import { summaryLine } from './summary.ts';
import { isOver, type Transfer, transferKey, transferLine, transferTitle } from './transfers.ts';
import { warningLines } from './warning.ts';

const REDRAW_MS = 100;
/** Output lines under each running step. */
const SHOWN_LINES = 4;
/** Output lines of a failed step that are printed for good. */
const KEPT_LINES = 200;
const BAR_WIDTH = 20;

interface Running {
  readonly startedAt: number;
  readonly lines: string[];
}

export interface LiveOptions {
  readonly screen: Screen;
  readonly paint: Paint;
  readonly isDebug: boolean;
  readonly explainsCache?: boolean;
  readonly size: () => ScreenSize;
}

/** For people at a terminal: what runs now, with times, its last lines and transfer bars; what is over stays above. */
export class LiveRenderer implements Renderer {
  readonly #options: LiveOptions;
  readonly #area: LiveArea;
  readonly #steps = new Steps();
  readonly #running = new Map<string, Running>();
  readonly #transfers = new Map<string, Transfer>();
  readonly #timer: NodeJS.Timeout;
  #hasFailed = false;
  /** What there is to print once the terminal is ours again. */
  #held: string[] | undefined;

  constructor(options: LiveOptions) {
    this.#options = options;
    this.#area = new LiveArea(options.screen, options.size);
    this.#timer = setInterval(() => this.redraw(), REDRAW_MS);
    this.#timer.unref();
  }

  readonly emit = (event: BuildEvent): void => {
    const { paint } = this.#options;
    switch (event.type) {
      case 'plan':
        return this.#steps.plan(event);
      case 'step.started':
        this.#running.set(event.step, { startedAt: this.#options.screen.now(), lines: [] });
        return;
      case 'step.cached':
        return this.#keep(
          `${paint.success('✔')} ${this.#title(event.step)} ${paint.faint(cachedText(event, this.#options.explainsCache === true))}`,
        );
      case 'step.miss':
        if (this.#options.explainsCache === true)
          this.#keep(...missLines(event, true).map((line) => `${this.#title(event.step)} ${paint.faint(line)}`));
        return;
      case 'debug':
        return;
      case 'step.output':
        return this.#output(event.step, this.#steps.lines(event));
      case 'step.finished':
        this.#running.delete(event.step);
        return this.#keep(
          `${paint.success('✔')} ${this.#title(event.step)} ${paint.faint(formatElapsed(event.durationMs))}`,
        );
      case 'step.shell':
        return this.#shell(event.step, event.state);
      case 'step.failed':
        return this.#failed(event.step, event.durationMs);
      case 'transfer':
        return this.#transfer(event);
      case 'warning':
        return this.#keep(...warningLines(event, paint));
      case 'delegated':
        return this.#area.draw([]);
      case 'info':
        return this.#keep(harmless(event.message));
      default:
        return event satisfies never;
    }
  };

  /** Draws what runs now; called ten times a second. */
  redraw(): void {
    if (this.#held === undefined) this.#area.draw(this.#liveLines());
  }

  built(summary: BuiltSummary): void {
    this.#transfers.clear();
    this.#keep(this.#options.paint.strong(summaryLine(summary)));
  }

  failed(error: BuildError): void {
    this.#running.clear();
    this.#transfers.clear();
    this.#area.draw([]);
    const { screen, paint, isDebug } = this.#options;
    screen.write(renderError(error, { paint, isDebug, hasTail: !this.#hasFailed }));
  }

  close(): void {
    clearInterval(this.#timer);
    this.#area.close();
  }

  #title(step: string): string {
    return this.#steps.get(step).title;
  }

  #output(step: string, lines: readonly string[]): void {
    const running = this.#running.get(step);
    if (!running) return;
    running.lines.push(...lines);
    if (running.lines.length > KEPT_LINES) running.lines.splice(0, running.lines.length - KEPT_LINES);
  }

  #shell(step: string, state: 'opened' | 'closed'): void {
    if (state === 'opened') {
      this.#output(step, this.#steps.end(step));
      const lines = this.#running.get(step)?.lines.splice(0) ?? [];
      this.#hasFailed ||= lines.length > 0;
      const title = `${this.#options.paint.error('✘')} ${this.#title(step)} ${SHELL}`;
      this.#keep(...lines.map((line) => `  | ${line}`), title);
      this.#area.close();
      this.#held = [];
      return;
    }
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#keep(...held);
  }

  #failed(step: string, durationMs: number): void {
    this.#output(step, this.#steps.end(step));
    const lines = this.#running.get(step)?.lines ?? [];
    this.#running.delete(step);
    this.#hasFailed ||= lines.length > 0;
    const title = `${this.#options.paint.error('✘')} ${this.#title(step)} failed after ${formatElapsed(durationMs)}`;
    this.#keep(title, ...lines.map((line) => `  | ${line}`));
  }

  #transfer(event: Transfer): void {
    if (isOver(event)) this.#transfers.delete(transferKey(event));
    else this.#transfers.set(transferKey(event), event);
    if (event.state === 'failed' || event.state === 'retrying') this.#keep(transferLine(event));
  }

  #keep(...lines: readonly string[]): void {
    if (this.#held !== undefined) this.#held.push(...lines);
    else this.#area.draw(this.#liveLines(), lines);
  }

  #liveLines(): string[] {
    const now = this.#options.screen.now();
    const steps = [...this.#running].flatMap(([step, { startedAt, lines }]) => [
      `▸ ${this.#title(step)} ${formatElapsed(now - startedAt)}`,
      ...lines.slice(-SHOWN_LINES).map((line) => `  | ${line}`),
    ]);
    return [...[...this.#transfers.values()].map(transferBar), ...steps];
  }
}

/** `pull sha256:0123456789ab [=====>    ] 1.2 MB of 4.0 MB` */
function transferBar(event: Transfer): string {
  const { doneBytes, totalBytes } = event;
  if (totalBytes === undefined || totalBytes === 0) return `▸ ${transferTitle(event)} ${formatSize(doneBytes)}`;
  const filled = Math.min(BAR_WIDTH, Math.floor((doneBytes / totalBytes) * BAR_WIDTH));
  const bar = `[${'='.repeat(filled)}${' '.repeat(BAR_WIDTH - filled)}]`;
  return `▸ ${transferTitle(event)} ${bar} ${formatSize(doneBytes)} of ${formatSize(totalBytes)}`;
}
