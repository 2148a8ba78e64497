import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { BuildEvent } from '../../src/events.ts';
import { digestOf, OCI_INDEX, parseReference, readAll } from '../../src/oci/index.ts';
import { fakeClock, firstLayer, storeImage, testClient } from '../support/registry-images.ts';
import { registriesOfTests, startRegistry } from '../support/registry-server.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const content = randomBytes(300_000);
const app = { repository: 'me/app', tag: '1' };
const LIMIT = 10_000_000;

const start = registriesOfTests();

const isBlob = (path: string): boolean => path.includes('/blobs/');

describe('pulling an image', () => {
  it('reads manifest and config, and layers only when somebody reads them', async () => {
    const server = await start();
    const { manifest, blobPath, blob } = storeImage(server, app, content);
    const events: BuildEvent[] = [];
    const image = await testClient().resolve(parseReference(`${server.host}/me/app:1`), amd64, {
      emit: (event) => events.push(event),
    });
    expect(image.descriptor.digest).toBe(manifest.digest);
    expect(server.log()).not.toContain(`GET ${blobPath}`);
    expect(Buffer.from(await readAll(firstLayer(image).compressed(), LIMIT)).equals(blob)).toBe(true);
    expect(Buffer.from(await readAll(firstLayer(image).uncompressed(), LIMIT)).equals(content)).toBe(true);
    expect(events.at(-1)).toMatchObject({ type: 'transfer', direction: 'pull', state: 'done', doneBytes: blob.length });
  });

  it('chooses the platform from an index, by digest, and skips attestations (8.5 #125)', async () => {
    const server = await start();
    const { manifest } = storeImage(server, app, content);
    const index = {
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [
        { mediaType: 'x', digest: digestOf('other'), size: 5, platform: { os: 'unknown', architecture: 'unknown' } },
        { mediaType: 'application/vnd.oci.image.manifest.v1+json', ...manifest, platform: amd64 },
      ],
    };
    server.addManifest('me/app', 'multi', index);
    const ref = parseReference(`${server.host}/me/app:multi`);
    expect((await testClient().resolve(ref, amd64)).descriptor.digest).toBe(manifest.digest);
    await expect(testClient().resolve(ref, { os: 'linux', architecture: 's390x' })).rejects.toMatchObject({
      code: 'E_NO_PLATFORM',
      hint: expect.stringContaining('linux/amd64'),
    });
  });

  it('gives an image that is there for one platform only, whatever is asked for', async () => {
    const server = await start();
    storeImage(server, app, content);
    const ref = parseReference(`${server.host}/me/app:1`);
    const { config } = await testClient().resolve(ref, { os: 'linux', architecture: 'arm64' });
    expect(config.architecture).toBe('amd64');
  });

  it('says that a missing image may be private', async () => {
    const server = await start();
    await expect(testClient().resolve(parseReference(`${server.host}/me/none`), amd64)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: `Cannot read the manifest of "${server.host}/me/none:latest": the registry answered 404 (MANIFEST_UNKNOWN: manifest_unknown message)`,
      hint: expect.stringContaining('private repository'),
      fields: { status: 404, codes: 'MANIFEST_UNKNOWN' },
    });
  });

  it('goes on where a broken connection stopped', async () => {
    const server = await start({
      fault: ({ path, method }, nth) =>
        isBlob(path) && method === 'GET' && nth < 3 ? { dropAfter: 100_000 } : undefined,
    });
    const { blob, blobPath } = storeImage(server, app, content);
    // The config is small: its drop is at its end, which a Content-Length does not notice.
    const image = await testClient().resolve(parseReference(`${server.host}/me/app:1`), amd64);
    const bytes = await readAll(firstLayer(image).compressed(), LIMIT);
    expect(Buffer.from(bytes).equals(blob)).toBe(true);
    const ranges = server.requests.filter(({ path }) => path === blobPath).map(({ headers }) => headers.range);
    expect(ranges[0]).toBeUndefined();
    expect(ranges.slice(1)).toEqual([expect.stringMatching(/^bytes=\d+-$/), expect.stringMatching(/^bytes=\d+-$/)]);
  });

  it('skips what it has when the server ignores Range', async () => {
    let whole: Buffer | undefined;
    const server = await start({
      fault({ path, headers }, nth) {
        if (!path.endsWith(digestOf(whole ?? ''))) return undefined;
        if (nth === 1) return { dropAfter: 70_000 };
        delete (headers as Record<string, string>).range;
        return undefined;
      },
    });
    const { blob } = storeImage(server, app, content);
    whole = blob;
    const image = await testClient().resolve(parseReference(`${server.host}/me/app:1`), amd64);
    expect(Buffer.from(await readAll(firstLayer(image).compressed(), LIMIT)).equals(blob)).toBe(true);
  });

  it('waits as long as Retry-After says, and gives up after five tries', async () => {
    const clock = fakeClock();
    const server = await start({
      fault: ({ path }) =>
        path.includes('/manifests/') ? { status: 429, headers: { 'retry-after': '7' } } : undefined,
    });
    const client = testClient({ clock });
    await expect(client.resolve(parseReference(`${server.host}/me/app`), amd64)).rejects.toMatchObject({
      code: 'E_RATE_LIMITED',
    });
    expect(server.requests.filter(({ path }) => path.includes('/manifests/'))).toHaveLength(5);
    expect(clock.sleeps.every((ms) => ms >= 7000)).toBe(true);
  });

  it('does not wait an hour for a registry that says so', async () => {
    const clock = fakeClock();
    const server = await start({
      fault: ({ path }) => (path === '/v2/' ? undefined : { status: 429, headers: { 'retry-after': '3600' } }),
    });
    await expect(testClient({ clock }).resolve(parseReference(`${server.host}/a/b`), amd64)).rejects.toMatchObject({
      code: 'E_RATE_LIMITED',
    });
    expect(clock.sleeps).toEqual([]);
  });

  it('survives a 503 and a reset', async () => {
    const server = await start({
      fault: ({ path }, nth) =>
        path.includes('/manifests/') ? [{ status: 503 }, { dropAfter: 0 }, undefined][nth - 1] : undefined,
    });
    storeImage(server, app, content);
    const image = await testClient().resolve(parseReference(`${server.host}/me/app:1`), amd64);
    expect(image.layers).toHaveLength(1);
  });

  it('reads manifest and config again when they break off', async () => {
    const server = await start({
      fault: ({ method }, nth) => (method === 'GET' && nth === 1 ? { dropAfter: 1 } : undefined),
    });
    const { manifest } = storeImage(server, app, content);
    const image = await testClient().resolve(parseReference(`${server.host}/me/app:1`), amd64);
    expect(image.descriptor.digest).toBe(manifest.digest);
  });

  it('refuses a manifest, config or layer whose digest is wrong', async () => {
    let bad = 'manifests';
    const server = await start({
      fault: ({ path, method }) => (method === 'GET' && path.includes(bad) ? { body: Buffer.from('{}') } : undefined),
    });
    const { manifest, blobPath } = storeImage(server, app, content);
    const pinned = parseReference(`${server.host}/me/app@${manifest.digest}`);
    await expect(testClient().resolve(pinned, amd64)).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    const tagged = parseReference(`${server.host}/me/app:1`);
    await expect(testClient().resolve(tagged, amd64)).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    bad = '/blobs/';
    await expect(testClient().resolve(pinned, amd64)).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    bad = blobPath;
    const image = await testClient().resolve(pinned, amd64);
    await expect(readAll(firstLayer(image).compressed(), LIMIT)).rejects.toMatchObject({
      code: 'E_SIZE_MISMATCH',
    });
  });

  it('follows a redirect to another host without its credentials', async () => {
    const storage = await start();
    const { blob } = storeImage(storage, app, content);
    const server = await start({
      auth: { kind: 'basic', username: 'me', password: 'secret' },
      fault: ({ path, method, headers }) =>
        isBlob(path) && method === 'GET' && headers.authorization
          ? { status: 307, headers: { location: `http://localhost:${storage.host.split(':')[1]}${path}?sig=1` } }
          : undefined,
    });
    storeImage(server, app, content);
    const credential = { kind: 'password', username: 'me', password: 'secret' } as const;
    const client = testClient({ credentials: { lookup: async () => ({ credential, origin: 'test' }) } });
    const image = await client.resolve(parseReference(`${server.host}/me/app:1`), amd64);
    expect(Buffer.from(await readAll(firstLayer(image).compressed(), LIMIT)).equals(blob)).toBe(true);
    expect(storage.requests.length).toBeGreaterThan(0);
    expect(storage.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
  });

  it('stops after ten redirects', async () => {
    const server = await start({
      fault: ({ path }) => (path.includes('/manifests/') ? { status: 302, headers: { location: path } } : undefined),
    });
    await expect(testClient().resolve(parseReference(`${server.host}/a/b`), amd64)).rejects.toMatchObject({
      code: 'E_REGISTRY',
      message: expect.stringContaining('more than 10 redirects'),
    });
  });

  it('refuses to read a manifest that is larger than 4 MiB', async () => {
    const server = await start({
      fault: ({ path }) => (path.includes('/manifests/') ? { status: 200, body: 'x'.repeat(5_000_000) } : undefined),
    });
    await expect(testClient().resolve(parseReference(`${server.host}/a/b`), amd64)).rejects.toMatchObject({
      code: 'E_SIZE_MISMATCH',
    });
  });

  it('names host, port and cause when nobody listens', async () => {
    const server = await startRegistry();
    await server.close();
    const [host, port] = server.host.split(':');
    await expect(testClient().resolve(parseReference(`${server.host}/a/b`), amd64)).rejects.toMatchObject({
      code: 'E_UNAVAILABLE',
      message: expect.stringContaining(`Cannot reach "${server.host}"`),
      fields: { host, port, reason: 'ECONNREFUSED' },
    });
  });

  it('takes a foreign layer from its URL without credentials, or else from the registry (8.5 #127)', async () => {
    const elsewhere = await start();
    const { blob, blobPath } = storeImage(elsewhere, app, content);
    const server = await start({ auth: { kind: 'basic', username: 'me', password: 'secret' } });
    const port = elsewhere.host.split(':')[1];
    const credential = { kind: 'password', username: 'me', password: 'secret' } as const;
    const client = testClient({ credentials: { lookup: async () => ({ credential, origin: 'test' }) } });
    const foreign = `http://localhost:${port}${blobPath}`;
    for (const urls of [[foreign], ['file:///etc/passwd', `${foreign}0`, foreign]]) {
      const stored = storeImage(server, app, content);
      const manifest = JSON.parse(String(server.manifests.get('me/app:1')?.body));
      manifest.layers[0].urls = urls;
      manifest.layers[0].mediaType = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
      server.addManifest('me/app', '1', manifest);
      server.blobs.delete(stored.blobPath.split('/').at(-1) ?? '');
      const image = await client.resolve(parseReference(`${server.host}/me/app:1`), amd64);
      expect(Buffer.from(await readAll(firstLayer(image).compressed(), LIMIT)).equals(blob)).toBe(true);
    }
    expect(elsewhere.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  it('reads many layers at once, but not more than six', async () => {
    let [open, most] = [0, 0];
    const server = await start({ fault: () => undefined });
    storeImage(server, app, content);
    const image = await testClient().resolve(parseReference(`${server.host}/me/app:1`), amd64);
    const read = async (): Promise<void> => {
      let first = true;
      for await (const _ of firstLayer(image).compressed()) {
        if (first) most = Math.max(most, ++open);
        first = false;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      open--;
    };
    await Promise.all(Array.from({ length: 12 }, read));
    expect(most).toBe(6);
  });

  it('frees its place when the reader loses interest or cancels', async () => {
    const server = await start();
    storeImage(server, app, content);
    const image = await testClient().resolve(parseReference(`${server.host}/me/app:1`), amd64);
    for (let i = 0; i < 8; i++) {
      for await (const _ of firstLayer(image).compressed()) break;
    }
    const stop = new AbortController();
    const reading = async (): Promise<void> => {
      for await (const _ of firstLayer(image).compressed(stop.signal)) stop.abort();
    };
    await expect(reading()).rejects.toMatchObject({ code: 'E_CANCELLED' });
    expect((await readAll(firstLayer(image).compressed(), LIMIT)).length).toBeGreaterThan(0);
  });

  it('stops when it is cancelled', async () => {
    const server = await start({ fault: () => ({ status: 503 }) });
    const signal = AbortSignal.abort();
    await expect(testClient().resolve(parseReference(`${server.host}/a/b`), amd64, { signal })).rejects.toMatchObject({
      code: 'E_CANCELLED',
    });
  });
});
