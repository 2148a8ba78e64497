import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes that may pass between two collections. */
const BETWEEN_BYTES = 16 * 1024 * 1024;

/** Without options a full one. */
type Collect = (options?: { readonly type: 'minor' }) => void;

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

/** Of V8's heap; a COPY of some thousand files makes it larger. */
const LARGE_BYTES = 64 * 1024 * 1024;

/** Before other work needs memory: a full collection, of 20 ms, where the heap has become large. */
export function tidy(): void {
  if (getHeapStatistics().total_heap_size < LARGE_BYTES) return;
  collect ??= exposed();
  collect();
}

/**
 * For a process that will wait while another one works: V8 keeps the room for new objects (up to 32 MB) that it once made. Two MB
 * are as fast here, but not where buffers pass: they outlive them.
 */
export function staySmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** When V8 has given back the pages that an earlier collection left empty, and looks for more. */
const AGAIN_MS = [100, 200, 300];

/** Gives back what is no longer needed of a process that waits from now on: a collection now and a few later, of some ms each. */
export function shrink(): void {
  collect ??= exposed();
  collect();
  for (const ms of AGAIN_MS) setTimeout(() => collect?.(), ms).unref();
}

/** V8 has the function behind a flag, which a new context looks at. */
function exposed(): Collect {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  return typeof gc === 'function' ? (options) => (options ? gc(options) : gc()) : () => {};
}
