import { BuildError } from '../errors.ts';
import type { ByteStream } from '../oci/index.ts';

const cancelled = (signal: AbortSignal): BuildError =>
  signal.reason instanceof BuildError ? signal.reason : new BuildError('E_CANCELLED', 'Cancelled');

/** Passes bytes on and throws `E_CANCELLED` as soon as `signal` says so, even while the source hangs. */
export async function* abortable(bytes: ByteStream, signal: AbortSignal | undefined): ByteStream {
  if (!signal) {
    yield* bytes;
    return;
  }
  const iterator = bytes[Symbol.asyncIterator]();
  const { promise: aborted, dispose } = abortion(signal);
  let finished = false;
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted]);
      if (next.done) {
        finished = true;
        return;
      }
      yield next.value;
    }
  } finally {
    dispose();
    // Not awaited: a generator that hangs in next() answers return() only after it.
    if (!finished) iterator.return?.()?.then(undefined, () => {});
  }
}

function abortion(signal: AbortSignal): { readonly promise: Promise<never>; dispose(): void } {
  let stop = (): void => {};
  const promise = new Promise<never>((_, reject) => {
    stop = () => reject(cancelled(signal));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  // The race may end before the signal; nobody listens then.
  promise.catch(() => {});
  return { promise, dispose: () => signal.removeEventListener('abort', stop) };
}
