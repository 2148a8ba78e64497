import * as zlib from 'node:zlib';
import type { ByteStream } from '../oci/index.ts';

/** Of the one buffer that the output goes into: what is hashed and written next is still in the processor's cache. */
const OUTPUT_BYTES = 256 * 1024;

/** What node:zlib calls underneath, in all versions since 10; its `writeSync` is also what the npm client unpacks with. */
interface Handle {
  writeSync(
    flush: number,
    input: Uint8Array,
    at: number,
    size: number,
    ...out: readonly [Uint8Array, number, number]
  ): void;
  onerror: (message: string, errno: number, code: string) => void;
}

interface Internals {
  readonly _handle?: Partial<Handle> | null;
  /** What is left after a write: of the room for output, of the input. */
  readonly _writeState?: Uint32Array;
}

/**
 * Gunzips in the calling thread: a thread that unpacks has nothing else to do meanwhile, and a trip through the thread pool for
 * each piece, with the streams around it, costs as much as half of the inflating. undefined: this Node has no such call.
 * Each piece is a view into the same buffer, good until the next is asked for. Throws as zlib's streams do.
 */
export function gunzipHere(bytes: ByteStream): ByteStream | undefined {
  const gunzip = zlib.createGunzip();
  const { _handle: handle, _writeState: left } = gunzip as unknown as Internals; // see Handle
  if (typeof handle?.writeSync !== 'function' || !(left instanceof Uint32Array)) return undefined;
  return inflate(bytes, { gunzip, handle: handle as Handle, left }); // looked at just now
}

interface Inflating {
  readonly gunzip: zlib.Gunzip;
  readonly handle: Handle;
  readonly left: Uint32Array;
}

async function* inflate(bytes: ByteStream, { gunzip, handle, left }: Inflating): ByteStream {
  let failure: Error | undefined;
  /** What follows is no further member, but padding. */
  let isOver = false;
  handle.onerror = (message, errno, code) => {
    failure = Object.assign(new Error(message), { errno, code });
  };
  const output = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  function* through(input: Uint8Array, flush: number): Generator<Uint8Array> {
    for (let at = 0, room = 0; room === 0; ) {
      handle.writeSync(flush, input, at, input.byteLength - at, output, 0, OUTPUT_BYTES);
      if (failure) throw failure;
      const [roomLeft = 0, inputLeft = 0] = left;
      at = input.byteLength - inputLeft;
      room = roomLeft;
      if (room < OUTPUT_BYTES) yield output.subarray(0, OUTPUT_BYTES - room);
    }
    isOver = (left[1] ?? 0) > 0;
  }
  try {
    for await (const chunk of bytes) {
      yield* through(chunk, zlib.constants.Z_NO_FLUSH);
      if (isOver) return;
    }
    yield* through(new Uint8Array(0), zlib.constants.Z_FINISH);
  } finally {
    gunzip.close();
  }
}
