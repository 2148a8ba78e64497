import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { inspect, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');

const TEXT = `FROM ${BASE} AS build
COPY src /src
RUN cat /src/* > /out && cat /proc/sys/kernel/random/uuid > /log
FROM ${BASE}
WORKDIR /new
COPY --from=build /out /out
RUN cat /proc/sys/kernel/random/uuid > /built
`;
const FILES = { 'src/a': 'a\n', 'src/b': 'b\n' };

describe.runIf(hasBase()).each(people())('a cache that travels, for $name', (person) => {
  let registry: RegistryServer;
  let first: Workspace;
  let id: string;
  const project = (): Workspace => workspace(person, { containerfile: TEXT, files: FILES });
  const image = (): string => `${registry.host}/team/app:1`;

  beforeAll(async () => {
    registry = await startRegistry();
    first = project();
    const caches = ['type=inline', `type=registry,ref=${registry.host}/team/cache,mode=max`];
    const args = caches.flatMap((cache) => ['--cache-to', cache]);
    id = (await first.build(['-t', image(), '--push', ...args])).stdout.trim();
  });
  afterAll(() => registry.close());

  it('inside an image serves the stage that the image is of, by the content of what is copied', async () => {
    const other = project();
    const { stdout, stderr } = await other.build(['--cache-from', image(), '--explain-cache']);
    // the first stage has to run: its layers are not in the image
    expect(stderr).toContain(': 4 steps, 2 cached,');
    expect(stderr).toMatch(/^#3 cached: other layers are below, .* came with "127\S+\/team\/app:1"\)$/m);
    expect(stdout.trim()).toBe(id);
    // it is in our own cache from then on
    expect((await other.build()).stderr).toContain(', all cached, ');
  });

  it('of its own serves all stages, and no layer is fetched before somebody needs it', async () => {
    const other = project();
    registry.requests.length = 0;
    const { stdout, stderr } = await other.build(['--cache-from', `${registry.host}/team/cache`, '-t', 'app']);
    expect(stderr).toContain(', all cached, ');
    expect(stdout.trim()).toBe(id);
    const { RootFS } = await inspect(other, 'app');
    for (const layer of RootFS.Layers)
      expect(existsSync(join(other.store, 'blobs/sha256', layer.replace('sha256:', '')))).toBe(false);
    // a step that is new needs them
    other.write({ Containerfile: `${TEXT}RUN cat /out\n` });
    expect((await other.build()).stderr).toMatch(/: 5 steps, 4 cached,/);
  });

  it('is told apart by the files and by what is asked for', async () => {
    const other = project();
    other.write({ 'src/a': 'changed\n' });
    const { stderr } = await other.build(['--cache-from', `${registry.host}/team/cache`, '--build-arg', 'x=1']);
    expect(stderr).toContain(': 4 steps, none cached,');
    const again = project();
    const without = await again.build(['--cache-from', `${registry.host}/team/cache`, '--no-cache']);
    expect(without.stderr).toContain(': 4 steps, none cached,');
  });

  it('may be missing, or be none: a warning says so', async () => {
    const { stderr } = await first.build(['--cache-from', `${registry.host}/team/none`, '--cache-from', BASE]);
    expect(stderr).toMatch(/warning: Cannot use "127\S+\/team\/none" as a cache: .*404/);
    expect(stderr).toMatch(
      /warning: "\S+\/base\/busybox:latest" is no cache: it does not say what its layers were made/,
    );
    expect(stderr).toContain(', all cached, ');
  });

  it('lies in a directory where there is no registry, and what goes wrong costs no image', async () => {
    const directory = person.directory();
    await first.build(['--cache-to', `type=local,dest=${directory}/cache,mode=max`]);
    const other = project();
    const { stderr, stdout } = await other.build(['--cache-from', `type=local,src=${directory}/cache`]);
    expect(stderr).toContain(', all cached, ');
    expect(stdout.trim()).toBe(id);
    const failing = await first.build(['--cache-to', '127.0.0.1:1/none']);
    expect(failing.stderr).toMatch(/warning: Cannot write the cache "docker:\/\/127\.0\.0\.1:1\/none"/);
    expect(await first.tryBuild(['--cache-to', 'type=gha'])).toMatchObject({ status: 2 });
    expect(await first.tryBuild(['--cache-to', 'type=inline', '--format', 'docker'])).toMatchObject({ status: 2 });
    rmSync(directory, { recursive: true });
  });
});
