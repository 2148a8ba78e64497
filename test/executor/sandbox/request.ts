import type { ProcessSpec, SandboxResult } from '../../../src/executor/sandbox/index.ts';

export interface StepRequest extends Partial<ProcessSpec> {
  /** Instead of `argv`: run by sh. */
  readonly script?: string;
  readonly abortAfterMs?: number;
}

export interface Request {
  readonly steps: readonly StepRequest[];
  readonly isParallel?: boolean;
  readonly layers?: number;
  /** Only /bin/busybox, without names for its applets. */
  readonly isEmpty?: boolean;
  /** /bin/busybox is setuid root. */
  readonly isSetuid?: boolean;
  readonly entries?: readonly {
    readonly path: string;
    readonly link?: string;
    readonly content?: string;
    readonly mode?: number;
  }[];
}

export interface StepAnswer extends Partial<SandboxResult> {
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
  /** Paths in the upper directory afterwards. */
  readonly upper: readonly string[];
  readonly error?: string;
}

export interface Answer {
  readonly steps: readonly StepAnswer[];
  readonly viewed: readonly string[];
  readonly overlay: string | undefined;
  readonly isMountTableSame: boolean;
  /** Process ids of what the inner process has left. */
  readonly children: string;
  readonly outside: boolean;
}
