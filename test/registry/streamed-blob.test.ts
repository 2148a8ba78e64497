import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { BuildEvent } from '../../src/events.ts';
import { type ByteStream, type Layer, parseReference, readAll } from '../../src/oci/index.ts';
import { imageOf, layerOf, testClient } from '../support/registry-images.ts';
import { type RecordedRequest, type RegistryServer, registriesOfTests } from '../support/registry-server.ts';

const start = registriesOfTests();

const big = layerOf(randomBytes(5_000_000));

async function* pieces(bytes: ByteStream): ByteStream {
  const whole = await readAll(bytes, 100_000_000);
  for (let at = 0; at < whole.byteLength; at += 300_000) {
    yield whole.subarray(at, at + 300_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Sends the layer while it is "made", then the image. */
async function push(server: RegistryServer, layer: Layer = big): Promise<readonly string[]> {
  const client = testClient();
  const image = imageOf([layer]);
  const ref = parseReference(`${server.host}/me/app:1`);
  const events: BuildEvent[] = [];
  const emit = (event: BuildEvent): void => void events.push(event);
  const blob = client.begin(ref, { emit });
  const passed = await readAll(blob.through(pieces(layer.compressed())), 100_000_000);
  expect(passed.byteLength).toBe(layer.descriptor.size);
  await blob.finish(layer.descriptor);
  await client.write(image, ref, { emit });
  expect(server.manifests.has('me/app:1')).toBe(true);
  expect(server.blobs.get(layer.descriptor.digest)?.equals(passed)).toBe(true);
  return events.flatMap((event) =>
    event.type === 'transfer' && event.id === layer.descriptor.digest ? [event.state] : [],
  );
}

const isPatch = ({ method }: RecordedRequest): boolean => method === 'PATCH';

describe('a blob that is sent while it is made', () => {
  it('arrives without a second sending', async () => {
    const server = await start();
    expect(await push(server)).toEqual(['done']);
    const requests = server.requests.filter(({ path, query }) => path.includes('session-1') || query.has('digest'));
    expect(requests.map(({ method, body }) => [method, body.length])).toEqual([
      ['PATCH', big.descriptor.size],
      ['PUT', 0],
      ['PUT', expect.any(Number)], // the config
    ]);
  });

  it('is sent in one piece where it is small', async () => {
    const server = await start();
    await push(server, layerOf(randomBytes(200_000)));
    expect(server.requests.filter(isPatch)).toEqual([]);
  });

  it.each([
    ['refuses PATCH', { status: 405 }],
    ['forgets the session', { status: 404 }],
    ['breaks the connection', { dropAfter: 0 }],
    ['wants another token in the middle', { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }],
    ['leads elsewhere', { status: 307, headers: { location: '/v2/me/app/blobs/uploads/elsewhere' } }],
  ] as const)('is sent when it is whole to a registry that %s', async (_name, fault) => {
    const server = await start({ fault: (request) => (isPatch(request) ? fault : undefined) });
    expect(await push(server)).toContain('done');
    expect(server.requests.filter(isPatch)).toHaveLength(1);
  });

  it('is sent again where the registry stored something else', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const server = await start({
      fault: ({ method, path }) =>
        method === 'PUT' && path.endsWith('session-1')
          ? { status: 201, headers: { 'docker-content-digest': digest } }
          : undefined,
    });
    await push(server);
  });

  it('is given up with its source', async () => {
    const server = await start();
    const client = testClient();
    const blob = client.begin(parseReference(`${server.host}/me/app:1`));
    async function* broken(): ByteStream {
      yield randomBytes(2_000_000);
      throw new Error('the disk is gone');
    }
    await expect(readAll(blob.through(broken()), 100_000_000)).rejects.toThrow('the disk is gone');
    await blob.finish(big.descriptor);
    expect(server.blobs.size).toBe(0);
  });

  it('waits in no more memory than is good while the registry is slow', async () => {
    const server = await start({ fault: (request) => (request.method === 'POST' ? { status: 503 } : undefined) });
    const blob = testClient().begin(parseReference(`${server.host}/me/app:1`));
    let passed = 0;
    async function* endless(): ByteStream {
      for (let i = 0; i < 100; i++) yield randomBytes(1_000_000);
    }
    for await (const chunk of blob.through(endless())) passed += chunk.byteLength;
    await blob.finish(big.descriptor);
    expect(passed).toBe(100_000_000);
  });
});
