import type { Environment, SessionOptions } from './api.ts';
import { networkOf, type Workspace } from './assembly.ts';
import { BuildError } from './errors.ts';
import type { SourceRoot } from './executor/index.ts';
import { type BuildGraph, type GitOp, type HttpOp, sourcesOf, withoutCredentials } from './graph/index.ts';
import { createRemoteSources, type RemoteSources } from './remote/index.ts';

/** What the run outside the namespace has fetched, for the run inside: it has other keys, and perhaps no network. */
const FETCHED = 'TSBUILD_FETCHED';

/** The remote sources of one build, as the executor wants them. */
export interface Remote {
  readonly sources: RemoteSources;
  /** The directory behind a URL or repository. */
  root(op: HttpOp | GitOp): Promise<SourceRoot>;
  /** Variables for the run inside the namespace. */
  handOver(): Environment;
}

export function openRemote({ env, emit, signal }: SessionOptions, { store }: Workspace): Remote {
  const sources = createRemoteSources({
    ...networkOf(env),
    directory: store.paths.remote,
    temporary: () => store.temporaryPath(),
    env,
    emit,
    signal,
    fetched: env[FETCHED],
  });
  return {
    sources,
    handOver: () => ({ [FETCHED]: sources.handOver() }),
    async root(op) {
      const description = `"${withoutCredentials(op.url)}"`;
      const directory = op.kind === 'http' ? await sources.file(op) : await sources.tree(op);
      return { directory, description, keepsOwners: false };
    },
  };
}

/** Fetches what the graph needs: keys, agents and helpers of the user are found outside of the namespace only. */
export async function prefetch(graph: BuildGraph, remote: Remote): Promise<void> {
  await Promise.all(
    sourcesOf(graph).map(async ({ op, range }) => {
      if (op.kind !== 'http' && op.kind !== 'git') return;
      try {
        await remote.root(op);
      } catch (error) {
        throw error instanceof BuildError ? error.at(range) : error;
      }
    }),
  );
}
