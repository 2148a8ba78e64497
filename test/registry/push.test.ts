import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { BuildEvent } from '../../src/events.ts';
import { createIndex, parseReference, readAll } from '../../src/oci/index.ts';
import { fakeClock, imageOf, layerOf, testClient } from '../support/registry-images.ts';
import { type RecordedRequest, type RegistryServer, registriesOfTests } from '../support/registry-server.ts';

const content = randomBytes(200_000);

const start = registriesOfTests();

const isUpload = (path: string): boolean => path.includes('/blobs/uploads/session');

async function push(server: RegistryServer, name = 'me/app:1'): Promise<BuildEvent[]> {
  const events: BuildEvent[] = [];
  const image = imageOf([layerOf(content)]);
  const written = await testClient().write(image, parseReference(`${server.host}/${name}`), {
    emit: (event) => events.push(event),
  });
  expect(written).toEqual(image.descriptor);
  expect(server.manifests.get(name)?.body.equals(Buffer.from(image.rawManifest))).toBe(true);
  for (const { descriptor } of image.layers) expect(server.blobs.get(descriptor.digest)?.length).toBe(descriptor.size);
  return events;
}

const states = (events: BuildEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'transfer' ? [event.state] : []));

describe('pushing an image', () => {
  it('sends layers, then the config, then the manifest, and nothing twice (8.5 #124)', async () => {
    const server = await start();
    const events = await push(server);
    const writes = server.requests.filter(({ method }) => method === 'PUT').map(({ path }) => path);
    expect(writes).toHaveLength(3);
    expect(writes.at(-1)).toBe('/v2/me/app/manifests/1');
    expect(states(events)).toContain('done');
    const before = server.requests.length;
    const again = await push(server);
    expect(states(again).filter((state) => state === 'exists')).toHaveLength(2);
    const methods = server.requests.slice(before).map(({ method }) => method);
    expect(methods.filter((method) => method === 'POST')).toEqual([]);
  });

  it('asks one question where the name stands for the image already', async () => {
    const server = await start();
    await push(server);
    const before = server.requests.length;
    await push(server);
    expect(server.log().slice(before)).toEqual(['GET /v2/', 'HEAD /v2/me/app/manifests/1']);
  });

  it('pushes as ever where the registry does not answer that question', async () => {
    const server = await start({
      fault: ({ method, path }) => (method === 'HEAD' && path.includes('/manifests/') ? { status: 405 } : undefined),
    });
    await push(server);
    await push(server);
    expect(server.requests.filter(({ method }) => method === 'PUT').length).toBeGreaterThan(3);
  });

  it('declares the length and keeps the query of the Location as it is', async () => {
    const server = await start();
    await push(server);
    const put = server.requests.find(({ method, path }) => method === 'PUT' && isUpload(path));
    expect(put?.headers['content-length']).toBe(String(put?.body.length));
    expect(put?.headers['transfer-encoding']).toBeUndefined();
    expect(put?.query.get('_state')).toBe('a+b=');
  });

  it('sends an index after the manifests of its images, and no image that is there', async () => {
    const server = await start();
    const images = [imageOf([layerOf(content)]), imageOf([layerOf(content), layerOf('more')])];
    const index = createIndex(images, 'oci');
    const ref = parseReference(`${server.host}/me/app:all`);
    const puts = (from: number): string[] =>
      server.requests.slice(from).flatMap(({ method, path }) => (method === 'PUT' && !isUpload(path) ? [path] : []));
    expect(await testClient().write(index, ref)).toEqual(index.descriptor);
    const names = [...images.map(({ descriptor }) => descriptor.digest), 'all'];
    expect(puts(0)).toEqual(names.map((name) => `/v2/me/app/manifests/${name}`));
    expect(server.manifests.get('me/app:all')?.type).toBe('application/vnd.oci.image.index.v1+json');
    // a layer that both have, once
    expect(server.requests.filter(({ method, path }) => method === 'PUT' && isUpload(path))).toHaveLength(4);
    const before = server.requests.length;
    await testClient().write(index, parseReference(`${server.host}/me/app:again`));
    expect(puts(before)).toEqual(['/v2/me/app/manifests/again']);
    expect(server.requests.slice(before).filter(({ path }) => path.includes('/blobs/'))).toEqual([]);
  });

  it('mounts a blob that another repository of the registry has', async () => {
    const server = await start();
    const layer = layerOf(content);
    server.addBlob('base/app', Buffer.from(await readAll(layer.compressed(), 1_000_000)));
    const client = testClient({
      distributionSources: (registry, digest) =>
        registry === server.host && digest === layer.descriptor.digest ? ['base/app'] : [],
    });
    const events: BuildEvent[] = [];
    const emit = (event: BuildEvent): void => void events.push(event);
    await client.write(imageOf([layer]), parseReference(`${server.host}/me/app:1`), { emit });
    expect(states(events)).toContain('mounted');
    expect(server.linked.has(`me/app@${layer.descriptor.digest}`)).toBe(true);
    expect(server.requests.filter(({ method, path }) => method === 'PUT' && isUpload(path))).toHaveLength(1);
  });

  it('uploads after all where the mount is not granted', async () => {
    const server = await start({
      fault: ({ query }) => (query.has('mount') ? { status: 403 } : undefined),
    });
    const client = testClient({ distributionSources: () => ['base/app'] });
    await client.write(imageOf([layerOf(content)]), parseReference(`${server.host}/me/app:1`));
    expect(server.manifests.has('me/app:1')).toBe(true);
  });

  it.each([
    ['503', { status: 503 }],
    ['429', { status: 429, headers: { 'retry-after': '2' } }],
    ['an expired session', { status: 404, body: '{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}' }],
    ['an invalid session', { status: 400, body: '{"errors":[{"code":"BLOB_UPLOAD_INVALID"}]}' }],
    ['a connection that breaks', { dropAfter: 0 }],
  ] as const)('sends a blob again in a new session after %s', async (_name, fault) => {
    let faults = 0;
    const server = await start({
      fault: ({ method, path }) => (method === 'PUT' && isUpload(path) && faults++ < 2 ? fault : undefined),
    });
    const events = await push(server);
    expect(states(events)).toContain('retrying');
  });

  it('sends the body again where a 307 leads, without credentials on another host', async () => {
    const storage = await start({ fault: () => ({ status: 201 }) });
    const server = await start({
      auth: { kind: 'basic', username: 'me', password: 'secret' },
      fault: ({ method, path }) =>
        method === 'PUT' && isUpload(path)
          ? { status: 307, headers: { location: `http://localhost:${storage.host.split(':')[1]}/put` } }
          : undefined,
    });
    const credential = { kind: 'password', username: 'me', password: 'secret' } as const;
    const client = testClient({ credentials: { lookup: async () => ({ credential, origin: 'test' }) } });
    const layer = layerOf(content);
    await client.write(imageOf([layer]), parseReference(`${server.host}/me/app:1`));
    const bodies = storage.requests.map(({ body }) => body.length);
    expect(bodies).toContain(layer.descriptor.size);
    expect(storage.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  it('fails at once with what the registry said, and does not write the manifest', async () => {
    const clock = fakeClock();
    const server = await start({
      fault: ({ method }) =>
        method === 'POST' ? { status: 403, body: '{"errors":[{"code":"DENIED","message":"read only"}]}' } : undefined,
    });
    const image = imageOf([layerOf(content), layerOf('second')]);
    await expect(testClient({ clock }).write(image, parseReference(`${server.host}/me/app:1`))).rejects.toMatchObject({
      code: 'E_DENIED',
      message: expect.stringContaining('DENIED: read only'),
    });
    expect(clock.sleeps).toEqual([]);
    expect(server.manifests.size).toBe(0);
  });

  it('gives up after five tries', async () => {
    const image = imageOf([layerOf(content)]);
    const layer = image.layers[0]?.descriptor.digest;
    const isOfLayer = ({ method, query }: RecordedRequest): boolean =>
      method === 'PUT' && query.get('digest') === layer;
    const server = await start({ fault: (request) => (isOfLayer(request) ? { status: 500 } : undefined) });
    await expect(testClient().write(image, parseReference(`${server.host}/me/app:1`))).rejects.toMatchObject({
      code: 'E_UNAVAILABLE',
    });
    expect(server.requests.filter(isOfLayer)).toHaveLength(5);
  });

  it('notices that the registry stored something else', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const server = await start({
      fault: ({ method, path }) =>
        method === 'PUT' && path.includes('/manifests/')
          ? { status: 201, headers: { 'docker-content-digest': digest } }
          : undefined,
    });
    const image = imageOf([layerOf(content)]);
    await expect(testClient().write(image, parseReference(`${server.host}/me/app:1`))).rejects.toMatchObject({
      code: 'E_DIGEST_MISMATCH',
    });
  });

  it('passes on what the registry warns of, once', async () => {
    const server = await start({ headers: { warning: '299 - "this registry closes in \\"May\\""' } });
    const events = await push(server);
    const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
    expect(warnings).toEqual([`"${server.host}" says: this registry closes in "May"`]);
  });

  it('keeps the error of the stream that it sends', async () => {
    const server = await start();
    const layer = layerOf(content);
    const broken = {
      ...layer,
      // biome-ignore lint/correctness/useYield: it fails before its first byte
      async *compressed() {
        throw new Error('the disk is gone');
      },
    };
    await expect(testClient().write(imageOf([broken]), parseReference(`${server.host}/me/app:1`))).rejects.toThrow(
      'the disk is gone',
    );
  });
});
