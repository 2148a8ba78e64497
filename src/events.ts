import type { SourceRange } from './errors.ts';

/** How a blob or file travels; `id` of a transfer is its digest or a short name. */
export type TransferDirection = 'pull' | 'push' | 'export' | 'load';

export interface StepSummary {
  /** NodeId of the graph node. */
  readonly id: string;
  /** Where there are several: the one that it runs on, and behind `->` the one that it is for, if that is another. */
  readonly platform?: string;
  /** Stage name or index, e.g. `build` or `0`. */
  readonly stage: string;
  /** The instruction as the user wrote it, on one line, e.g. `RUN make`. */
  readonly label: string;
}

/** What is wrong with the cache for a step, in words and for machines. */
export interface CacheMiss {
  readonly reason: string;
  /** The first part of the key that differs; or why no record was compared: `new`, `no-cache`, `ttl`. */
  readonly component: string;
  /** Nothing that the user changed: told only where he asks. */
  readonly isExpected?: boolean;
  /** What a COPY reads and what of it changed; the first of them where they are many. */
  readonly files?: readonly { readonly path: string; readonly change: string }[];
}

/**
 * The one event stream. Renderers only read it; nobody else writes to the terminal.
 * Producers throttle `transfer` to ten a second per id. Times are milliseconds.
 */
export type BuildEvent =
  /** Of several platforms each has one; steps that they share stand in each. */
  | { readonly type: 'plan'; readonly steps: readonly StepSummary[] }
  | { readonly type: 'step.started'; readonly step: string }
  | {
      readonly type: 'step.cached';
      readonly step: string;
      /** What was found the same: all that the step is given, or (some of that differs) the files that it reads. */
      readonly level: 'inputs' | 'content';
      /** RFC 3339: when its result was made. */
      readonly created: string;
      /** The image that it came with (`--cache-from`). */
      readonly source?: string;
    }
  | {
      readonly type: 'step.finished';
      readonly step: string;
      readonly durationMs: number;
      readonly diffId?: string;
      readonly sizeBytes?: number;
    }
  | { readonly type: 'step.failed'; readonly step: string; readonly durationMs: number }
  /** Somebody looks into a step that has failed: until it is closed the terminal is theirs. */
  | { readonly type: 'step.shell'; readonly step: string; readonly state: 'opened' | 'closed' }
  /** Why a step is not taken from the cache. */
  | ({ readonly type: 'step.miss'; readonly step: string } & CacheMiss)
  /** One chunk as the process wrote it; not necessarily a whole line. */
  | {
      readonly type: 'step.output';
      readonly step: string;
      readonly stream: 'stdout' | 'stderr';
      readonly chunk: Uint8Array;
    }
  | {
      readonly type: 'transfer';
      readonly id: string;
      readonly direction: TransferDirection;
      readonly state: 'waiting' | 'running' | 'done' | 'exists' | 'mounted' | 'retrying' | 'failed';
      readonly doneBytes: number;
      readonly totalBytes?: number;
      readonly note?: string;
    }
  | {
      readonly type: 'warning';
      readonly message: string;
      /** The lint rule that found it. */
      readonly rule?: string;
      readonly range?: SourceRange;
      readonly hint?: string;
    }
  /** The same command now runs again inside the user namespace and says everything from here on. */
  | { readonly type: 'delegated' }
  | { readonly type: 'info'; readonly message: string }
  | { readonly type: 'debug'; readonly scope: string; readonly message: string };

export type EventSink = (event: BuildEvent) => void;
