import type { Delegated, PruneResult, SelfCommand, SessionOptions } from './api.ts';
import { delegate, isRoot, type Workspace, withWorkspace } from './assembly.ts';
import { BuildError } from './errors.ts';
import { isInsideNamespace } from './executor/index.ts';

export interface PruneSettings {
  /** Also the cache and everything that no named image needs. */
  readonly all: boolean;
  /** The caller has asked already. */
  readonly force?: boolean | undefined;
  /** Only what was last used so many milliseconds ago, or longer. */
  readonly unusedForMs?: number | undefined;
  /** Only as much as it takes for the state directory to fit in so many bytes; what was used longest ago first. */
  readonly keepBytes?: number | undefined;
}

/** Removes what nothing needs. Layer directories of an ordinary user belong to sub-ids: that is done in the namespace. */
export async function prune(
  settings: PruneSettings,
  options: SessionOptions & { readonly self: SelfCommand },
): Promise<PruneResult | Delegated> {
  if (!isRoot() && !isInsideNamespace(options.self.env)) return delegate(options);
  const { all, unusedForMs, keepBytes } = settings;
  const unusedSinceMs = unusedForMs === undefined ? undefined : Date.now() - unusedForMs;
  return withWorkspace(options, async ({ store }) => store.prune({ all, unusedSinceMs, keepBytes }));
}

/** What the image is made of is in use and stays. A build that is done does not fail for what could not be removed. */
export async function keepWithin(
  keepBytes: number | undefined,
  { store }: Workspace,
  { emit, env }: SessionOptions,
): Promise<void> {
  // a user's layers can be removed inside the namespace only; a build that did not need it has made nothing
  if (keepBytes === undefined || !(isRoot() || isInsideNamespace(env))) return;
  try {
    await store.prune({ keepBytes, keepUntagged: true });
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    emit({ type: 'warning', message: `Cannot prune the cache: ${error.message}` });
  }
}
