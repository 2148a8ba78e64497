import type { EventSink, TransferDirection } from '../events.ts';
import type { ByteStream, Descriptor } from '../oci/index.ts';

/** Ten a second (events.ts). */
const INTERVAL_MS = 100;

/** Passes a blob on and reports its progress. */
export async function* metered(
  bytes: ByteStream,
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
  { direction, emit }: { readonly direction: TransferDirection; readonly emit: EventSink | undefined },
): ByteStream {
  let doneBytes = 0;
  let reported = 0;
  const report = (state: 'running' | 'done' | 'failed'): void =>
    emit?.({ type: 'transfer', id: digest, direction, state, doneBytes, totalBytes: size });
  try {
    for await (const chunk of bytes) {
      doneBytes += chunk.byteLength;
      const now = Date.now();
      if (now - reported >= INTERVAL_MS) {
        reported = now;
        report('running');
      }
      yield chunk;
    }
  } catch (error) {
    report('failed');
    throw error;
  }
  report('done');
}
