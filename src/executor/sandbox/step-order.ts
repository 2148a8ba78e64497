import type { BuildErrorOptions, ErrorCode } from '../../errors.ts';
import type { StepStreams } from './process-start.ts';
import type { RootfsPlan } from './rootfs.ts';
import type { ExitStatus } from './sandbox.ts';
import type { Stubs } from './stubs.ts';

/** What the thread of a step is told. The descriptors are those of the process, which its threads share. */
export interface StepOrder extends RootfsPlan, StepStreams {
  /** The network namespace to join, if there is one already. */
  readonly networkNamespace: string | undefined;
  /** Struct sock_filter[]; undefined: every system call is allowed. */
  readonly filter: Uint8Array | undefined;
}

/** What it reports, in this order; `failed` may come at any time and ends it. */
export type StepReport =
  /** PID 1 of the step, as seen outside: killing it kills the step. */
  | { readonly kind: 'init'; readonly pid: number }
  | { readonly kind: 'built'; readonly stubs: Stubs }
  /** `terminal`: the side of its terminal that is ours. */
  | { readonly kind: 'started'; readonly pid: number; readonly terminal?: number }
  | { readonly kind: 'ended'; readonly status: ExitStatus }
  | ({ readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string } & Pick<
      BuildErrorOptions,
      'hint' | 'fields'
    >)
  /** PID 1 has been reaped, and with it everything else. */
  | { readonly kind: 'gone' };

/** The role of a thread that runs many steps. */
export const SERVER = 'server';

/** What that is told and reports: as above, with the number of the step. */
export interface ServedOrder {
  readonly id: number;
  readonly order: StepOrder;
}

export interface ServedReport {
  readonly id: number;
  readonly report: StepReport;
}
