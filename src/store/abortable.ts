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
  const abortion = new Abortion(signal);
  let finished = false;
  try {
    for (;;) {
      const next = await abortion.orAbort(iterator.next());
      if (next.done) {
        finished = true;
        return;
      }
      yield next.value;
    }
  } finally {
    abortion.dispose();
    // Not awaited: a generator that hangs in next() answers return() only after it.
    if (!finished) iterator.return?.()?.then(undefined, () => {});
  }
}

/**
 * Waits for one thing after another, or for the signal. Not `Promise.race` with a promise that outlives them: that one would
 * keep what each of them gave, and so all bytes of the stream.
 */
class Abortion {
  readonly #signal: AbortSignal;
  #reject: ((reason: BuildError) => void) | undefined;
  readonly #abort = (): void => this.#reject?.(cancelled(this.#signal));

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#abort, { once: true });
  }

  orAbort<T>(waited: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#reject = reject;
      waited.then(resolve, reject);
      if (this.#signal.aborted) this.#abort();
    });
  }

  dispose(): void {
    this.#signal.removeEventListener('abort', this.#abort);
  }
}
