import type { SourceRange } from '../errors.ts';
import type { ContainerConfig, HistoryEntry, Platform } from '../oci/index.ts';
import type { Node, NodeId } from './op.ts';

/**
 * A history entry before execution. With `node`: that step's layer, or `empty_layer` if the step makes none.
 * Without: metadata. `created` is filled in afterwards.
 */
export interface PlannedHistory {
  readonly entry: HistoryEntry;
  readonly node?: NodeId;
}

/** Rooted at `target`: unused stages are absent by construction. */
export interface BuildGraph {
  readonly target: Node;
  readonly platform: Platform;
  /** The final image's config, recomputed on every build, also when all steps are cached. */
  readonly config: ContainerConfig;
  readonly author?: string;
  /** Of the manifest. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** The base image's own entries, then ours. The base's `created` stays. */
  readonly baseHistory: readonly HistoryEntry[];
  readonly history: readonly PlannedHistory[];
  /** `created` of the base, for an image to which nothing was added. */
  readonly baseCreated?: string;
  /** What the global ARG SOURCE_DATE_EPOCH says. */
  readonly sourceDateEpoch?: string;
  readonly warnings: readonly GraphWarning[];
}

export interface GraphWarning {
  readonly message: string;
  readonly range?: SourceRange;
  readonly hint?: string;
}
