import type { TerminalSize } from './executor/index.ts';

/** The user's side of a program that runs in a container or in a failed step. */
export interface UserStreams {
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly onOutput: (stream: 'stdout' | 'stderr', chunk: Uint8Array) => void;
  /** undefined: standard input is no terminal. */
  readonly terminal?: UserTerminal | undefined;
  /**
   * From now on signals come here, and do nothing else; SIGPIPE says that nobody reads the output any more. Returns how to
   * end that.
   */
  onSignal(listener: (signal: NodeJS.Signals) => void): () => void;
}

export interface UserTerminal {
  size(): TerminalSize;
  /** Keys come one by one, those of signals too. */
  setRaw(isRaw: boolean): void;
  onResize(listener: () => void): () => void;
}
