import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { inspect, succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');

/** What was asked of blobs, without those of configs: `GET sha256:...`. */
const layerRequests = ({ requests }: RegistryServer, layers: ReadonlySet<string>): readonly string[] =>
  requests.flatMap(({ method, path }) => {
    const digest = path.split('/').at(-1) ?? '';
    return layers.has(digest) ? [`${method} ${digest}`] : [];
  });

describe.runIf(hasBase())('a base image', () => {
  const [person] = people();
  if (!person) throw new Error('there is nobody to test as');
  let server: RegistryServer;
  let base: string;
  const layers = new Set<string>();

  beforeAll(async () => {
    server = await startRegistry();
    base = `${server.host}/team/base:1`;
    const space = workspace(person, { containerfile: `FROM ${BASE}\nRUN mkdir /made && echo base > /made/file\n` });
    await space.build(['-t', base]);
    succeeded(await space.tsbuild(['push', base]));
    const puller = workspace(person);
    succeeded(await puller.tsbuild(['pull', base]));
    const image = (await inspect(puller, base)) as unknown as { Layers: readonly { digest: string }[] }; // more of it
    for (const { digest } of image.Layers) layers.add(digest);
    expect(layers.size).toBe(2);
  });
  afterAll(() => server.close());

  const project = (lines: string): Workspace =>
    workspace(person, { containerfile: `FROM ${base}\n${lines}\n`, files: { file: 'text\n' } });
  const hasBlob = (space: Workspace, digest: string): boolean =>
    existsSync(join(space.store, 'blobs/sha256', digest.replace('sha256:', '')));

  it('stays in its registry while nothing looks into it, and is mounted where the image is pushed', async () => {
    const space = project('LABEL a=b\nWORKDIR /\nCOPY --link file /etc/\nCMD ["sh"]');
    server.requests.length = 0;
    const name = `${server.host}/team/app:1`;
    expect((await space.build(['-t', name])).stderr).not.toContain('pull');
    const pushed = await space.tsbuild(['push', name]);
    expect(pushed.stderr.match(/mounted from another repository/g)).toHaveLength(2);
    expect(layerRequests(server, layers).filter((request) => request.startsWith('GET'))).toEqual([]);
    for (const digest of layers) expect(hasBlob(space, digest)).toBe(false);
    // what the store says and does about what it has not
    expect((await space.tsbuild(['images'])).stdout).toMatch(/base:1 .* MB/);
    succeeded(await space.tsbuild(['store', 'verify']));
    succeeded(await space.tsbuild(['rmi', base]));
    succeeded(await space.tsbuild(['prune', '--force']));
    // an output needs all of it
    const tar = join(space.store, 'out.tar');
    succeeded(await space.tsbuild(['push', name, `oci-archive:${tar}`]));
    for (const digest of layers) expect(hasBlob(space, digest)).toBe(true);
    // the image is whole
    const other = workspace(person, { containerfile: `FROM ${name}\nRUN cat /made/file /etc/file\n` });
    expect((await other.build()).stderr).toMatch(/\| base\n#\d+ \| text\n/);
  });

  it('is sent to another registry blob by blob', async () => {
    const space = project('LABEL a=c');
    await space.build(['-t', 'app']);
    const elsewhere = await startRegistry();
    try {
      succeeded(await space.tsbuild(['push', 'app', `docker://${elsewhere.host}/app:1`]));
      for (const digest of layers) expect(elsewhere.blobs.has(digest)).toBe(true);
    } finally {
      await elsewhere.close();
    }
  });

  it('is fetched for a step that works on it, all of it by "pull"', async () => {
    const space = project('COPY file /made/other\nRUN cat /made/*');
    await space.build(['--target', '0', '-f', '-'], { input: `FROM ${base}\nLABEL x=y\n` });
    for (const digest of layers) expect(hasBlob(space, digest)).toBe(false);
    expect((await space.build()).stderr).toMatch(/\| base\n#\d+ \| text\n/);
    for (const digest of layers) expect(hasBlob(space, digest)).toBe(true);
    const empty = workspace(person);
    succeeded(await empty.tsbuild(['pull', base]));
    for (const digest of layers) expect(hasBlob(empty, digest)).toBe(true);
  });

  it('that cannot be fetched any more is named, with its layer and what to do', async () => {
    const gone = await startRegistry();
    const name = `${gone.host}/team/base:1`;
    const space = workspace(person, { containerfile: `FROM ${base}\n` });
    await space.build(['-t', name]);
    succeeded(await space.tsbuild(['push', name]));
    const offline = workspace(person, { containerfile: `FROM ${name}\nLABEL a=b\n` });
    await offline.build(['-t', 'app']);
    offline.write({ Containerfile: `FROM ${name}\nRUN true\n` });
    const never = await offline.tryBuild(['--pull=never']);
    expect(never.status).toBe(9);
    expect(never.stderr).toMatch(
      /The layer sha256:\w{64} of "127\S+\/team\/base" is not in the store, and may not be fetched/,
    );
    await gone.close();
    offline.write({ Containerfile: `FROM ${name}\nLABEL a=b\n` });
    await offline.build(['-t', 'app', '--label', 'more=1']);
    offline.write({ Containerfile: `FROM ${name}\nRUN true\n` });
    const failed = await offline.tryBuild();
    expect(failed.status).toBe(7);
    expect(failed.stderr).toMatch(/Cannot fetch the layer sha256:\w{64} of "127\.0\.0\.1:\d+\/team\/base"/);
    expect(failed.stderr).toMatch(/next: .*"tsbuild pull 127\.0\.0\.1:\d+\/team\/base" brings all layers/);
  });
});
