import type { ContainerConfig, HistoryEntry, ImageConfig, Platform } from '../oci/index.ts';
import type { PlannedHistory } from './graph.ts';
import type { Node, PendingDirectory } from './op.ts';
import type { BaseImage } from './options.ts';
import { imageScope, type Scope } from './scope.ts';

/** The config without Env, which lives in the scope. */
export type StageConfig = Omit<ContainerConfig, 'Env' | 'ArgsEscaped'>;

/** What a stage has become after some of its instructions. */
export interface StageState {
  readonly node: Node;
  readonly platform: Platform;
  readonly scope: Scope;
  readonly config: StageConfig;
  readonly author?: string;
  readonly baseHistory: readonly HistoryEntry[];
  readonly baseCreated?: string;
  /** The image at the bottom; absent: nothing is below. */
  readonly baseImage?: BaseImage;
  readonly history: readonly PlannedHistory[];
  /** Directories that WORKDIR promised and no step has made yet. */
  readonly pending: readonly PendingDirectory[];
  /** CMD was given in this stage: a later ENTRYPOINT leaves it alone. */
  readonly isCmdSet: boolean;
}

/** Marks the history entries of this builder, as BuildKit's `buildkit.dockerfile.v0` does. */
const COMMENT = 'tsbuild';

/** Adds the history entry of one instruction; without `node` it has no layer. */
export function withHistory(state: StageState, createdBy: string, node?: Node): StageState {
  const { author } = state;
  const entry: HistoryEntry = {
    created_by: createdBy,
    comment: COMMENT,
    ...(author === undefined ? {} : { author }),
    ...(node ? {} : { empty_layer: true }),
  };
  return { ...state, history: [...state.history, node ? { entry, node: node.id } : { entry }] };
}

export const withConfig = (state: StageState, change: Partial<StageConfig>): StageState => ({
  ...state,
  config: { ...state.config, ...change },
});

/** A step was added: it makes the pending directories. */
export const withStep = (state: StageState, node: Node): StageState => ({ ...state, node, pending: [] });

const fresh = { history: [], pending: [], isCmdSet: false } as const;

export function scratchState(node: Node, platform: Platform): StageState {
  return { ...fresh, node, platform, scope: imageScope([]), config: { WorkingDir: '/' }, baseHistory: [] };
}

/** ONBUILD is not inherited (it runs instead); nor is ArgsEscaped, which means something on Windows only. */
export function imageState(node: Node, platform: Platform, base: BaseImage): StageState {
  const image: ImageConfig = base.config;
  const { Env, OnBuild: _ran, ArgsEscaped: _windows, ...config } = image.config ?? {};
  return {
    ...fresh,
    node,
    platform,
    scope: imageScope(Env ?? []),
    config,
    baseImage: base,
    baseHistory: image.history ?? [],
    ...(image.author === undefined ? {} : { author: image.author }),
    ...(image.created === undefined ? {} : { baseCreated: image.created }),
  };
}

/** `FROM stage`: everything, ARGs included, but ONBUILD. */
export function inheritedState(parent: StageState): StageState {
  const { OnBuild: _ran, ...config } = parent.config;
  return { ...parent, config, isCmdSet: false };
}
