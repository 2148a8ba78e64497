import type { Delegated, SelfCommand, SessionOptions, StateUsage, StateVerification } from './api.ts';
import { delegate, isRoot, withWorkspace } from './assembly.ts';
import { isInsideNamespace } from './executor/index.ts';

type Options = SessionOptions & { readonly self: SelfCommand };

// Files of an ordinary user's layers belong to sub-ids: they can be read in the namespace only.
const mustEnter = ({ self }: Options): boolean => !isRoot() && !isInsideNamespace(self.env);

/** Compares everything in the state directory with what it claims to be; `repair` mends what can be mended. */
export async function verifyState(
  settings: { readonly repair: boolean },
  options: Options,
): Promise<StateVerification | Delegated> {
  if (mustEnter(options)) return delegate(options);
  return withWorkspace({ ...options, isOffline: true }, async ({ store }) =>
    store.withLease(() => store.verify(settings)),
  );
}

/** What the state directory holds, and what `prune` would free. */
export async function stateUsage(options: Options): Promise<StateUsage | Delegated> {
  if (mustEnter(options)) return delegate(options);
  return withWorkspace(options, async ({ root, store }) => {
    const lines = await store.usage();
    const { freedBytes } = await store.prune({ dryRun: true });
    const { freedBytes: freedByAll } = await store.prune({ dryRun: true, all: true });
    return { root, lines, freedBytes, freedByAllBytes: freedByAll };
  });
}
