import { getEnvironmentData, isMainThread, setEnvironmentData, Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * A thread that is ended while native code prepares itself in it takes the process with it: Node-API cannot throw there, which is
 * fatal. So threads count themselves in while they do that, and whoever ends threads waits for a moment when none does.
 */
const KEY = 'tsbuild native code';
/** Instead of the count: a thread is being ended, nobody begins. */
const CLOSED = -1;
const PATIENCE_MS = 2000;

/** What all threads of the process see: how many prepare native code. */
function shared(): Int32Array {
  const known = getEnvironmentData(KEY);
  if (known instanceof Int32Array) return known;
  const state = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  // every thread that is started from here on gets it
  setEnvironmentData(KEY, state);
  // the end of the process ends all threads
  if (isMainThread) process.once('exit', () => close(state));
  return state;
}

/** `new Worker`, for threads that call native code. */
export function startThread(entry: URL, options: WorkerOptions = {}): Worker {
  shared();
  return new Worker(entry, options);
}

/** `terminate()` at a moment that is safe. */
export async function endThread(worker: Worker): Promise<void> {
  const state = shared();
  close(state);
  const ended = worker.terminate();
  Atomics.store(state, 0, 0);
  Atomics.notify(state, 0);
  await ended;
}

/** Around everything that prepares native code: loading it, declaring its functions. */
export function preparingNative<T>(prepare: () => T): T {
  if (isMainThread) return prepare();
  const state = shared();
  enter(state);
  try {
    return prepare();
  } finally {
    Atomics.sub(state, 0, 1);
    Atomics.notify(state, 0);
  }
}

function enter(state: Int32Array): void {
  for (;;) {
    const count = Atomics.load(state, 0);
    // whoever is ended waits here for its end
    if (count === CLOSED) Atomics.wait(state, 0, CLOSED);
    else if (Atomics.compareExchange(state, 0, count, count + 1) === count) return;
  }
}

/** Returns when no thread is inside; after `PATIENCE_MS` in any case. */
function close(state: Int32Array): void {
  const end = Date.now() + PATIENCE_MS;
  for (let left = PATIENCE_MS; left > 0; left = end - Date.now()) {
    const count = Atomics.compareExchange(state, 0, 0, CLOSED);
    if (count === 0) return;
    Atomics.wait(state, 0, count, left);
  }
}
