import type { UserStreams } from '../index.ts';
import type { Host } from './host.ts';

/** The process's own streams, for a program that runs in a container. */
export const userStreams = (host: Host): UserStreams => ({
  stdin: host.stdin,
  onOutput: (stream, chunk) => void host[stream].write(chunk),
  terminal: host.terminal,
  onSignal: (listener) => host.onSignal?.(listener) ?? (() => {}),
});
