import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseReference, readAll } from '../../src/oci/index.ts';
import { createRegistry, loadCredentials, login, type RegistryOptions } from '../../src/registry/index.ts';
import { imageOf, layerOf } from '../support/registry-images.ts';
import { requires } from '../support/requires.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const onPath = (program: string): boolean =>
  (process.env.PATH ?? '').split(delimiter).some((directory) => existsSync(join(directory, program)));
const available = ['docker-registry', 'skopeo', 'htpasswd', 'openssl'].map((name) => requires(name, onPath(name)));

let scratch: string;
const running: ChildProcess[] = [];

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Debian's docker-registry with the given extra configuration; returns its host:port. */
async function startDistribution(
  name: string,
  extra: { readonly http?: string; readonly auth?: string },
): Promise<string> {
  const host = `127.0.0.1:${await freePort()}`;
  const config = join(scratch, `${name}.yml`);
  writeFileSync(
    config,
    `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: ${join(scratch, name)} } }
http:
  addr: ${host}
${extra.http ?? ''}
${extra.auth ?? ''}
`,
  );
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  running.push(child);
  const client = createRegistry({ ...options, tlsVerify: false });
  await client.resolve(parseReference(`${host}/none/none`), amd64).catch(() => undefined);
  await client.close();
  return host;
}

const options: RegistryOptions = {
  tlsVerify: true,
  credentials: { lookup: async () => ({ origin: 'no credentials were given' }) },
  userAgent: 'tsbuild/test',
};

/** Without the user's own credentials, whose usual place he may not even be allowed to look into. */
const skopeo = (...args: string[]): Buffer =>
  execFileSync('skopeo', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, REGISTRY_AUTH_FILE: join(scratch, 'no-credentials.json') },
  });

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'distribution-'));
  writeFileSync(join(scratch, 'no-credentials.json'), '{"auths":{}}');
});
afterAll(() => {
  for (const child of running) child.kill();
  rmSync(scratch, { recursive: true });
});

describe.skipIf(available.includes(false))('against a real registry', () => {
  const layers = [layerOf('first'), layerOf(Buffer.alloc(5_000_000, 'second'))];
  const image = imageOf(layers);

  it('pushes what skopeo reads byte for byte, and pulls what skopeo pushed', async () => {
    const host = await startDistribution('plain', {});
    const client = createRegistry(options);
    await client.write(image, parseReference(`${host}/me/app:1`));
    const raw = skopeo('inspect', '--raw', '--tls-verify=false', `docker://${host}/me/app:1`);
    expect(raw.equals(Buffer.from(image.rawManifest))).toBe(true);
    const names = [`docker://${host}/me/app:1`, `docker://${host}/you/copy:2`];
    skopeo('copy', '--src-tls-verify=false', '--dest-tls-verify=false', ...names);
    const pulled = await client.resolve(parseReference(`${host}/you/copy:2`), amd64);
    expect(pulled.descriptor.digest).toBe(image.descriptor.digest);
    for (const [i, layer] of pulled.layers.entries()) {
      const expected = await readAll((layers[i] ?? layer).uncompressed(), 10_000_000);
      expect(Buffer.from(await readAll(layer.uncompressed(), 10_000_000)).equals(Buffer.from(expected))).toBe(true);
    }
  });

  it('mounts across repositories', async () => {
    const host = await startDistribution('mount', {});
    const states: string[] = [];
    await createRegistry(options).write(image, parseReference(`${host}/me/app:1`));
    const client = createRegistry({ ...options, distributionSources: () => ['me/app'] });
    await client.write(image, parseReference(`${host}/other/app:1`), {
      emit: (event) => event.type === 'transfer' && states.push(event.state),
    });
    expect(states.filter((state) => state === 'mounted')).toHaveLength(3);
    expect(states).not.toContain('done');
  });

  it('logs in with a password that only bcrypt knows, and pushes with it', async () => {
    const file = join(scratch, 'htpasswd');
    writeFileSync(file, execFileSync('htpasswd', ['-B', '-n', '-b', 'me', 'secret']));
    const auth = `auth: { htpasswd: { realm: test, path: ${file} } }`;
    const host = await startDistribution('auth', { auth });
    const files = { authfile: join(scratch, 'auth.json'), env: {}, uid: 1000 };
    const wrong = login({ registry: host, username: 'me', password: 'wrong' }, { ...options, files });
    await expect(wrong).rejects.toMatchObject({ code: 'E_UNAUTHORIZED' });
    await login({ registry: host, username: 'me', password: 'secret' }, { ...options, files });
    await createRegistry({ ...options, credentials: loadCredentials(files) }).write(
      image,
      parseReference(`${host}/me/app:1`),
    );
    const raw = skopeo(
      'inspect',
      '--raw',
      '--tls-verify=false',
      '--authfile',
      files.authfile,
      `docker://${host}/me/app:1`,
    );
    expect(raw.equals(Buffer.from(image.rawManifest))).toBe(true);
    const anonymous = createRegistry(options).resolve(parseReference(`${host}/me/app:1`), amd64);
    await expect(anonymous).rejects.toMatchObject({
      code: 'E_UNAUTHORIZED',
      hint: expect.stringContaining('no credentials were given'),
    });
  });

  it('refuses a self-signed certificate by name, unless it is trusted or verification is off', async () => {
    const [key, cert] = [join(scratch, 'key.pem'), join(scratch, 'cert.pem')];
    const subject = ['-subj', '/CN=test-issuer', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert];
    execFileSync('openssl', [...request, ...subject], { stdio: 'ignore' });
    const host = await startDistribution('tls', { http: `  tls: { certificate: ${cert}, key: ${key} }` });
    const ref = parseReference(`${host}/me/app:1`);
    await expect(createRegistry(options).resolve(ref, amd64)).rejects.toMatchObject({
      code: 'E_TLS',
      message: expect.stringMatching(new RegExp(`Cannot trust the certificate of "${host}".*issued by "test-issuer"`)),
      hint: expect.stringContaining('--tls-verify=false'),
    });
    await createRegistry({ ...options, tlsVerify: false }).write(image, ref);
    const trusting = createRegistry({ ...options, caCertificates: [readFileSync(cert, 'utf8')] });
    expect((await trusting.resolve(ref, amd64)).descriptor).toEqual(image.descriptor);
  });
});
