import type { UserStreams } from '../index.ts';
import type { Host } from './host.ts';

/** The process's own streams, for a program that runs in a container; standard input is opened when it is asked for. */
export const userStreams = (
  host: Host,
  onOutput: UserStreams['onOutput'] = (stream, chunk) => void host[stream].write(chunk),
): UserStreams => ({
  get stdin() {
    return host.stdin;
  },
  onOutput,
  get terminal() {
    return host.terminal;
  },
  onSignal: (listener) => host.onSignal?.(listener) ?? (() => {}),
});
