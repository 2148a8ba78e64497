import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { BuildOptions, Environment } from './api.ts';
import { networkOf, type Workspace } from './assembly.ts';
import { readCaFile } from './ca-file.ts';
import { unpackContext } from './context-archive.ts';
import { BuildError } from './errors.ts';
import type { SourceRoot } from './executor/index.ts';
import { type BuildGraph, type GitOp, type HttpOp, sourcesOf, withoutCredentials } from './graph/index.ts';
import { openIfArchive } from './layers/index.ts';
import { createRemoteSources, type RemoteSources } from './remote/index.ts';
import { authorizationFor } from './remote-credentials.ts';

/** What the run outside the namespace has fetched, for the run inside: it has other keys, and perhaps no network. */
const FETCHED = 'TSBUILD_FETCHED';

/** The remote sources of one build, as the executor wants them. */
export interface Remote {
  readonly sources: RemoteSources;
  /** The directory behind a URL or repository. */
  root(op: HttpOp | GitOp): Promise<SourceRoot>;
  /** What the file in a fetched directory holds, if it is a tar archive: a directory, too. */
  unpacked(directory: string, file: string, name: string): Promise<string | undefined>;
  /** Variables for the run inside the namespace. */
  handOver(): Environment;
}

export function openRemote(options: BuildOptions, { store, workers }: Workspace): Remote {
  const { env, emit, signal } = options;
  const sources = createRemoteSources({
    ...networkOf(env),
    caCertificates: readCaFile(options),
    directory: store.paths.remote,
    temporary: () => store.temporaryPath(),
    env,
    emit,
    signal,
    fetched: env[FETCHED],
    authorization: authorizationFor(options),
  });
  const unpacked: Remote['unpacked'] = async (directory, file, name) => {
    const open = () => createReadStream(join(directory, file));
    if ((await openIfArchive(open)) === undefined) return undefined;
    return sources.derive({ unpacked: directory }, async (target) => {
      await unpackContext({ open, name }, target, { workers, emit });
    });
  };
  return {
    sources,
    unpacked,
    handOver: () => ({ [FETCHED]: sources.handOver() }),
    async root(op) {
      const description = `"${withoutCredentials(op.url)}"`;
      const fetched = op.kind === 'http' ? await sources.file(op) : await sources.tree(op);
      const contents =
        op.kind === 'http' && op.unpack ? await unpacked(fetched, op.name, withoutCredentials(op.url)) : undefined;
      const directory = contents ?? fetched;
      return { directory, description, keepsOwners: false };
    },
  };
}

/** Fetches what the graphs need: keys, agents and helpers of the user are found outside of the namespace only. */
export async function prefetch(graphs: readonly BuildGraph[], remote: Remote): Promise<void> {
  await Promise.all(
    sourcesOf(...graphs).map(async ({ op, range }) => {
      if (op.kind !== 'http' && op.kind !== 'git') return;
      try {
        await remote.root(op);
      } catch (error) {
        throw error instanceof BuildError ? error.at(range) : error;
      }
    }),
  );
}
