import { join } from 'node:path';
import type { BuildEvent } from '../../src/events.ts';
import { createRemoteSources, type RemoteOptions, type RemoteSources } from '../../src/remote/index.ts';
import { fakeClock } from '../support/registry-images.ts';
import { tempDir } from '../support/temp-dir.ts';

export interface TestSources {
  /** Of one build; the next build has its own, over the same directory. */
  nextBuild(changes?: Partial<RemoteOptions>): RemoteSources;
  readonly directory: string;
  /** What lies in `temporary` paths belongs to nobody after a test. */
  readonly ingest: string;
  readonly events: BuildEvent[];
  readonly sleeps: readonly number[];
}

/** Remote sources over a directory of the test's own; waits take no time. */
export function testSources(): TestSources {
  const root = tempDir();
  const clock = fakeClock();
  const events: BuildEvent[] = [];
  let serial = 0;
  const directory = join(root, 'remote');
  const ingest = join(root, 'ingest');
  const options: RemoteOptions = {
    directory,
    temporary: () => join(ingest, String(++serial)),
    proxy: {},
    userAgent: 'test',
    env: { PATH: process.env.PATH, HOME: root },
    emit: (event) => events.push(event),
    signal: new AbortController().signal,
    clock,
  };
  return {
    directory,
    ingest,
    events,
    sleeps: clock.sleeps,
    nextBuild: (changes = {}) => createRemoteSources({ ...options, ...changes }),
  };
}
