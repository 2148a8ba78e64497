import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { parseReference } from '../../src/oci/index.ts';
import type { Credential, CredentialSource } from '../../src/registry/index.ts';
import { fakeClock, imageOf, layerOf, storeImage, testClient } from '../support/registry-images.ts';
import { type RegistryServer, type RegistryServerOptions, startRegistry } from '../support/registry-server.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const account = { username: 'me', password: 'secret' };
const app = { repository: 'me/app', tag: '1' };

const servers: RegistryServer[] = [];
async function start(options: RegistryServerOptions = {}): Promise<RegistryServer> {
  const server = await startRegistry(options);
  servers.push(server);
  storeImage(server, app, randomBytes(1000));
  return server;
}
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

const use = (credential: Credential): CredentialSource => ({
  lookup: async () => ({ credential, origin: 'used user "me" from key "quay.io" in /auth.json' }),
});
const password = use({ kind: 'password', ...account });

const tokenRequests = (server: RegistryServer): string[] => server.log().filter((line) => line.endsWith('/token'));

describe('authentication', () => {
  it('asks once for a token, however many requests need it', async () => {
    const server = await start({ auth: { kind: 'bearer', ...account } });
    const client = testClient({ credentials: password });
    const ref = parseReference(`${server.host}/me/app:1`);
    await Promise.all([client.resolve(ref, amd64), client.resolve(ref, amd64)]);
    expect(tokenRequests(server)).toEqual(['GET /token']);
    await client.write(imageOf([layerOf('a'), layerOf('b')]), ref);
    expect(tokenRequests(server)).toHaveLength(2);
    const scopes = server.requests.filter(({ path }) => path === '/token').map(({ query }) => query.get('scope'));
    expect(scopes).toEqual(['repository:me/app:pull', 'repository:me/app:pull,push']);
  });

  it('gets a new token when the old one has expired', async () => {
    const clock = fakeClock();
    const server = await start({ auth: { kind: 'bearer', ...account, expiresIn: 100 } });
    const client = testClient({ credentials: password, clock });
    const ref = parseReference(`${server.host}/me/app:1`);
    await client.resolve(ref, amd64);
    clock.time += 95_000;
    await client.resolve(ref, amd64);
    expect(tokenRequests(server)).toHaveLength(2);
  });

  it('pulls without credentials where the token server allows it', async () => {
    const server = await start({ auth: { kind: 'bearer', ...account, anonymousPull: true } });
    const ref = parseReference(`${server.host}/me/app:1`);
    await testClient().resolve(ref, amd64);
    await expect(testClient().write(imageOf([layerOf('a')]), ref)).rejects.toMatchObject({ code: 'E_UNAUTHORIZED' });
  });

  it('trades an identity token by POST, and a password by POST where GET is not allowed', async () => {
    const server = await start({ auth: { kind: 'bearer', ...account, identityToken: 'idt', getStatus: 405 } });
    const ref = parseReference(`${server.host}/me/app:1`);
    await testClient({ credentials: use({ kind: 'identity', username: '', token: 'idt' }) }).resolve(ref, amd64);
    expect(tokenRequests(server)).toEqual(['POST /token']);
    await testClient({ credentials: password }).resolve(ref, amd64);
    expect(tokenRequests(server)).toEqual(['POST /token', 'GET /token', 'POST /token']);
  });

  it('asks for the mount scope, and does without where it is refused', async () => {
    const server = await start({ auth: { kind: 'bearer', ...account } });
    const client = testClient({ credentials: password, distributionSources: () => ['base/app'] });
    await client.write(imageOf([layerOf('a')]), parseReference(`${server.host}/me/app:2`));
    const scopes = server.requests.filter(({ path }) => path === '/token').map(({ query }) => query.getAll('scope'));
    expect(scopes).toContainEqual(['repository:me/app:pull,push', 'repository:base/app:pull']);
  });

  it('says which credentials were refused, with status and codes but never the secret', async () => {
    const server = await start({ auth: { kind: 'basic', ...account } });
    const credentials = use({ kind: 'password', username: 'me', password: 'wrong-secret' });
    const failure = await testClient({ credentials })
      .resolve(parseReference(`${server.host}/me/app:1`), amd64)
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'E_UNAUTHORIZED',
      hint: expect.stringContaining('used user "me" from key "quay.io" in /auth.json'),
      fields: { status: 401, codes: 'UNAUTHORIZED' },
    });
    expect(JSON.stringify(failure)).not.toContain('wrong-secret');
  });

  it('sends no credentials to a token server in plain http elsewhere', async () => {
    const server = await start({ auth: { kind: 'bearer', ...account, realm: 'http://198.51.100.1/token' } });
    const client = testClient({ credentials: password });
    await expect(client.resolve(parseReference(`${server.host}/me/app:1`), amd64)).rejects.toMatchObject({
      code: 'E_UNAUTHORIZED',
      message: 'Refusing to authenticate at "http://198.51.100.1/token"',
    });
  });

  it('sends nothing that identifies us before the registry asks', async () => {
    const server = await start();
    await testClient({ credentials: password }).resolve(parseReference(`${server.host}/me/app:1`), amd64);
    expect(server.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });
});
