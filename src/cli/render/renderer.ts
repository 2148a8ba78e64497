import type { BuildError, BuildResult, EventSink } from '../../index.ts';

export interface BuiltSummary extends BuildResult {
  /** The image as the user named it, or its short ID. */
  readonly title: string;
}

/** Reads events and writes to stderr. One of `built` and `failed` may be called at the end, then always `close`. */
export interface Renderer {
  readonly emit: EventSink;
  built(summary: BuiltSummary): void;
  failed(error: BuildError): void;
  /** Stops timers and gives the terminal back. */
  close(): void;
}

export interface Screen {
  write(text: string): void;
  /** Milliseconds, monotonic. */
  now(): number;
}
