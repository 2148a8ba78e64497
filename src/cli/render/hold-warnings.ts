import type { BuildEvent, EventSink } from '../../index.ts';

/**
 * Warnings found while planning come again from the run inside the namespace: they are held until it is known which of
 * the two speaks. `flush` gives what is still held.
 */
export function holdWarnings(sink: EventSink): { readonly emit: EventSink; readonly flush: () => void } {
  let held: BuildEvent[] | undefined = [];
  const flush = () => {
    for (const event of held ?? []) sink(event);
    held = undefined;
  };
  const emit = (event: BuildEvent) => {
    if (event.type === 'delegated') held = [];
    else if (event.type === 'plan') flush();
    if (event.type === 'warning' && held) held.push(event);
    else sink(event);
  };
  return { emit, flush };
}
