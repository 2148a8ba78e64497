import type { BuildEvent, StepSummary } from '../../index.ts';
import { harmless, LineSplitter } from './lines.ts';

type Plan = Extract<BuildEvent, { type: 'plan' }>;
type Output = Extract<BuildEvent, { type: 'step.output' }>;

export interface StepView {
  /** From 1, in the order of the plan. */
  readonly number: number;
  /** `[build 2/5] RUN make` */
  readonly title: string;
}

/** Numbers and titles of steps, and their output by lines. */
export class Steps {
  readonly #views = new Map<string, StepView>();
  readonly #splitters = new Map<string, Map<Output['stream'], LineSplitter>>();

  plan({ steps }: Plan): void {
    const totals = new Map<string, number>();
    for (const { stage } of steps) totals.set(stage, (totals.get(stage) ?? 0) + 1);
    const seen = new Map<string, number>();
    for (const step of steps) {
      const index = (seen.get(step.stage) ?? 0) + 1;
      seen.set(step.stage, index);
      this.#add(step, `${index}/${totals.get(step.stage) ?? index}`);
    }
  }

  #add({ id, platform, stage, label }: StepSummary, position: string): void {
    if (this.#views.has(id)) return; // of another platform, too
    const place = platform === undefined ? stage : `${platform} ${stage}`;
    const title = `[${harmless(place)} ${position}] ${harmless(label)}`;
    this.#views.set(id, { number: this.#views.size + 1, title });
  }

  get(step: string): StepView {
    const known = this.#views.get(step);
    if (known) return known;
    const view = { number: this.#views.size + 1, title: harmless(step) };
    this.#views.set(step, view);
    return view;
  }

  lines({ step, stream, chunk }: Output): string[] {
    const streams = this.#splitters.get(step) ?? new Map<Output['stream'], LineSplitter>();
    this.#splitters.set(step, streams);
    const splitter = streams.get(stream) ?? new LineSplitter();
    streams.set(stream, splitter);
    return splitter.push(chunk);
  }

  /** The unfinished lines of a step that has ended. */
  end(step: string): string[] {
    const streams = [...(this.#splitters.get(step)?.values() ?? [])];
    this.#splitters.delete(step);
    return streams.flatMap((splitter) => splitter.end());
  }
}
