import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { digestOf, OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST } from '../../src/oci/index.ts';
import { people } from '../support/person.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { tarOf } from '../support/sample-images.ts';
import { succeeded, type Workspace, workspace } from '../support/workspace.ts';

const FOREIGN = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';

const servers: RegistryServer[] = [];
async function registry(): Promise<RegistryServer> {
  const server = await startRegistry();
  servers.push(server);
  return server;
}
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

interface Base {
  readonly tag: string;
  readonly file: string;
  readonly architecture?: string;
  /** Where the layer is, if not here. */
  readonly foreign?: RegistryServer;
}

/** An image `me/base` of one layer with one file. */
async function addBase(server: RegistryServer, { tag, file, architecture = 'amd64', foreign }: Base) {
  const tar = await tarOf({ [file]: file });
  const blob = (foreign ?? server).addBlob('me/base', gzipSync(tar));
  const rootfs = { type: 'layers', diff_ids: [digestOf(tar)] };
  const config = server.addBlob('me/base', JSON.stringify({ os: 'linux', architecture, rootfs }));
  const urls = foreign && [`${foreign.url}/v2/me/base/blobs/${blob.digest}`];
  const layer = { mediaType: foreign ? FOREIGN : OCI_LAYER_GZIP, ...blob, ...(urls ? { urls } : {}) };
  const manifest = server.addManifest('me/base', tag, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, ...config },
    layers: [layer],
  });
  return { manifest: { mediaType: OCI_MANIFEST, ...manifest }, layer };
}

const PLATFORMS = ['amd64', 'arm64'] as const;

/** `me/base:multi`: an index as BuildKit pushes it, with an attestation for each image. */
async function addIndex(server: RegistryServer): Promise<void> {
  const entries = [];
  for (const architecture of PLATFORMS) {
    const { manifest } = await addBase(server, { tag: architecture, file: architecture, architecture });
    const attestation = server.addManifest('me/base', `attestation-${architecture}`, {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, ...server.addBlob('me/base', '{"os":"unknown","architecture":"unknown"}') },
      layers: [{ mediaType: 'application/vnd.in-toto+json', ...server.addBlob('me/base', '{}') }],
    });
    const annotations = {
      'vnd.docker.reference.digest': manifest.digest,
      'vnd.docker.reference.type': 'attestation-manifest',
    };
    const unknown = { os: 'unknown', architecture: 'unknown' };
    entries.push({ mediaType: OCI_MANIFEST, ...attestation, annotations, platform: unknown });
    entries.push({ ...manifest, platform: { os: 'linux', architecture } });
  }
  server.addManifest('me/base', 'multi', { schemaVersion: 2, mediaType: OCI_INDEX, manifests: entries });
}

describe.each(people())('a base of $name', (person) => {
  const built = async (space: Workspace, args: readonly string[]): Promise<string[]> => {
    await space.build([...args, '-o', `type=tar,dest=${space.store}/out.tar`]);
    const { stdout } = await person.run(['tar', '-tf', `${space.store}/out.tar`]);
    return stdout
      .split('\n')
      .sort()
      .filter((name) => /a(?:md|rm)64$/.test(name));
  };

  it('may be an index of several platforms and attestations, which are passed over (8.5 #125)', async () => {
    const server = await registry();
    await addIndex(server);
    const space = workspace(person, { containerfile: `FROM ${server.host}/me/base:multi\nCOPY Containerfile /\n` });
    for (const architecture of [...PLATFORMS, ...PLATFORMS])
      expect(await built(space, ['--platform', `linux/${architecture}`])).toEqual([architecture]);
    const missing = await space.tryBuild(['--platform', 'linux/s390x']);
    expect(missing).toMatchObject({ status: 7, stdout: '' });
    expect(missing.stderr).toMatch(/Containerfile:1:6[\s\S]*there is: linux\/amd64, linux\/arm64\n/);
  });

  it('may be there for two platforms in one build', async () => {
    const server = await registry();
    await addIndex(server);
    const name = `${server.host}/me/base:multi`;
    const space = workspace(person, {
      containerfile: `FROM --platform=linux/amd64 ${name} AS build\nCOPY Containerfile /\nFROM ${name}\nCOPY --from=build /amd64 /from/amd64\n`,
    });
    for (const args of [[], ['--pull'], ['--no-cache']])
      expect(await built(space, ['--platform', 'linux/arm64', ...args])).toEqual(['arm64', 'from/amd64']);
  });

  it('may have foreign layers: they are read from their URL and stay foreign (8.5 #127)', async () => {
    const [server, elsewhere] = [await registry(), await registry()];
    const { layer } = await addBase(server, { tag: '1', file: 'foreign', foreign: elsewhere });
    const space = workspace(person, {
      containerfile: `FROM ${server.host}/me/base:1 AS base\nFROM scratch\nCOPY --from=base /foreign /copy\nFROM base\nCOPY --from=1 /copy /\n`,
    });
    await space.build(['--platform', 'linux/amd64', '-t', 'on-foreign', '-o', `type=tar,dest=${space.store}/out.tar`]);
    const { stdout } = await person.run(['tar', '-xOf', `${space.store}/out.tar`, 'foreign', 'copy']);
    expect(stdout).toBe('foreignforeign');
    succeeded(await space.tsbuild(['push', 'on-foreign', `${server.host}/me/pushed:1`]));
    const manifest = JSON.parse(String(server.manifests.get('me/pushed:1')?.body));
    expect(manifest.layers).toHaveLength(2);
    expect(manifest.layers[0]).toMatchObject({
      ...layer,
      mediaType: expect.stringMatching(/foreign|nondistributable/),
    });
    expect(server.blobs.has(layer.digest)).toBe(false);
  });
});
