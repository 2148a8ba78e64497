/** Layers read at once, as docker and containers/image do (3 to 6). */
const PARALLEL_LAYERS = 4;

/** Works on a few items at a time. The first failure stops the others and is thrown when they have ended. */
export async function forEachParallel<T>(
  items: readonly T[],
  work: (item: T, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const stop = new AbortController();
  const combined = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const waiting = [...items];
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      try {
        await work(item, combined);
      } catch (error) {
        waiting.length = 0;
        failure ??= { error };
        stop.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_LAYERS }, worker));
  if (failure) throw failure.error;
}
