import type { BuildEvent, EventSink } from '../../src/events.ts';

export interface EventRecorder {
  readonly emit: EventSink;
  readonly events: readonly BuildEvent[];
  /** The types in order, each with its step where it has one: `step.cached a`. */
  summary(): string[];
}

/** An event sink that remembers. */
export function recordEvents(): EventRecorder {
  const events: BuildEvent[] = [];
  return {
    events,
    emit: (event) => {
      events.push(event);
    },
    summary: () => events.map((event) => ('step' in event ? `${event.type} ${event.step}` : event.type)),
  };
}
