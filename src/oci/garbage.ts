import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes that may pass between two collections. */
const BETWEEN_BYTES = 16 * 1024 * 1024;

type Collect = (options: { readonly type: 'minor' }) => void;

let passedBytes = 0;
let collect: Collect | undefined;

/**
 * Tells that so many bytes of a stream have passed and their buffers are garbage. V8 counts what an object takes in its own
 * heap; of buffers, which lie outside, it lets 100 MB pile up in each process. A minor collection takes a millisecond.
 */
export function bytesPassed(bytes: number): void {
  passedBytes += bytes;
  if (passedBytes < BETWEEN_BYTES) return;
  passedBytes = 0;
  collect ??= exposed();
  collect({ type: 'minor' });
}

/** V8 has the function behind a flag, which a new context looks at. */
function exposed(): Collect {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  return typeof gc === 'function' ? (options) => gc(options) : () => {};
}
