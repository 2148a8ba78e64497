import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadCredentials, login, logout } from '../../src/registry/index.ts';
import { startRegistry } from '../support/registry-server.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'credentials-'));
});
afterEach(() => {
  rmSync(home, { recursive: true });
  vi.unstubAllEnvs();
});

const auth = (user: string, password = 'pw'): { auth: string } => ({
  auth: Buffer.from(`${user}:${password}`).toString('base64'),
});

function write(path: string, value: unknown): string {
  const full = join(home, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, typeof value === 'string' ? value : JSON.stringify(value));
  return full;
}

const files = (authfile?: string) => ({
  authfile,
  env: { HOME: home, XDG_RUNTIME_DIR: join(home, 'run') },
  uid: 1000,
});

function helper(name: string, script: string): void {
  const path = write(`bin/docker-credential-${name}`, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  vi.stubEnv('PATH', `${join(home, 'bin')}${delimiter}${process.env.PATH}`);
}

describe('looking up credentials', () => {
  it('takes the first file that has an entry, and says which file and key', async () => {
    write('.docker/config.json', { auths: { 'quay.io': auth('docker'), 'ghcr.io': auth('gh') } });
    const config = write('.config/containers/auth.json', { auths: { 'quay.io': auth('config') } });
    const source = loadCredentials(files());
    expect(await source.lookup('quay.io', 'a/b')).toEqual({
      credential: { kind: 'password', username: 'config', password: 'pw' },
      origin: `used user "config" from key "quay.io" in ${config}`,
    });
    expect(await source.lookup('ghcr.io', 'a/b')).toMatchObject({ credential: { username: 'gh' } });
    write('run/containers/auth.json', { auths: { 'quay.io': auth('run') } });
    expect(await loadCredentials(files()).lookup('quay.io', 'a')).toMatchObject({ credential: { username: 'run' } });
  });

  it('prefers the longest key', async () => {
    const file = write('a.json', { auths: { h: auth('h'), 'h/ns': auth('ns'), 'h/ns/app': auth('app') } });
    const source = loadCredentials(files(file));
    const user = async (repository: string): Promise<unknown> => (await source.lookup('h', repository)).credential;
    expect(await user('ns/app')).toMatchObject({ username: 'app' });
    expect(await user('ns/other')).toMatchObject({ username: 'ns' });
    expect(await user('nsx/app')).toMatchObject({ username: 'h' });
  });

  it.each(['https://index.docker.io/v1/', 'index.docker.io', 'docker.io', 'http://registry-1.docker.io/v2/'])(
    'finds Docker Hub under "%s"',
    async (key) => {
      const file = write('a.json', { auths: { [key]: auth('hub', 'p:w') } });
      expect((await loadCredentials(files(file)).lookup('docker.io', 'library/x')).credential).toEqual({
        kind: 'password',
        username: 'hub',
        password: 'p:w',
      });
    },
  );

  it('reads only the file that was named', async () => {
    write('.docker/config.json', { auths: { 'quay.io': auth('docker') } });
    const file = write('a.json', { auths: { 'other.io': auth('x') } });
    expect(await loadCredentials(files(file)).lookup('quay.io', 'a')).toEqual({
      origin: `no entry for "quay.io" in ${file} (keys: other.io)`,
    });
    await expect(loadCredentials(files('/nowhere')).lookup('quay.io', 'a')).rejects.toMatchObject({
      code: 'E_UNAUTHORIZED',
    });
  });

  it('reads identity tokens, legacy files, and skips empty entries', async () => {
    write('.docker/config.json', { auths: { a: {}, b: { ...auth('u'), identitytoken: 'it' } } });
    write('.dockercfg', { a: auth('old') });
    const source = loadCredentials(files());
    expect((await source.lookup('a', 'x')).credential).toMatchObject({ username: 'old' });
    expect((await source.lookup('b', 'x')).credential).toEqual({ kind: 'identity', username: 'u', token: 'it' });
  });

  it('does not quote a damaged file', async () => {
    const file = write('a.json', '{"auths": {"h": {"auth": "SECRET"');
    const error: unknown = await loadCredentials(files(file))
      .lookup('h', 'x')
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'E_UNAUTHORIZED' });
    expect(String((error as Error).message) + String((error as Error).cause)).not.toContain('SECRET');
  });
});

describe('credential helpers', () => {
  it('gets the host on standard input', async () => {
    helper('test', 'read host; echo "{\\"Username\\":\\"u\\",\\"Secret\\":\\"for-$host-$1\\"}"');
    const file = write('a.json', { credHelpers: { 'quay.io': 'test' }, auths: { 'quay.io': auth('no') } });
    expect((await loadCredentials(files(file)).lookup('quay.io', 'a')).credential).toEqual({
      kind: 'password',
      username: 'u',
      password: 'for-quay.io-get',
    });
  });

  it('may give an identity token, or know nothing', async () => {
    helper('token', 'echo \'{"Username":"<token>","Secret":"s"}\'');
    helper('empty', 'echo "credentials not found in native keychain"; exit 1');
    const token = write('a.json', { credsStore: 'token' });
    expect((await loadCredentials(files(token)).lookup('q', 'a')).credential).toMatchObject({ kind: 'identity' });
    const empty = write('b.json', { credsStore: 'empty' });
    expect((await loadCredentials(files(empty)).lookup('q', 'a')).credential).toBeUndefined();
  });

  it.each(['missing-one', '../../bin/sh', ''])('fails with a hint where the helper is "%s"', async (name) => {
    const file = write('a.json', { credHelpers: { q: name } });
    await expect(loadCredentials(files(file)).lookup('q', 'a')).rejects.toMatchObject({
      code: 'E_UNAUTHORIZED',
      hint: expect.stringContaining('credHelpers'),
    });
  });
});

describe('login and logout', () => {
  const options = (authfile?: string) => ({ files: files(authfile), tlsVerify: true, userAgent: 'tsbuild/test' });

  it('keeps what the registry accepts, for the owner only, beside what was there', async () => {
    const server = await startRegistry({ auth: { kind: 'bearer', username: 'me', password: 'pw' } });
    const file = write('real.json', { auths: { other: auth('x') }, extra: 1 });
    const link = join(home, 'auth.json');
    symlinkSync(file, link);
    chmodSync(file, 0o644);
    const result = await login({ registry: server.host, username: 'me', password: 'pw' }, options(link));
    expect(result).toEqual({ file: link });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const stored: unknown = JSON.parse(readFileSync(file, 'utf8'));
    expect(stored).toEqual({ auths: { other: auth('x'), [server.host]: auth('me') }, extra: 1 });
    await logout(server.host, files(link));
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ auths: { other: auth('x') }, extra: 1 });
    await expect(logout(server.host, files(link))).rejects.toMatchObject({ code: 'E_USAGE' });
    await server.close();
  });

  it('writes nothing when the registry refuses', async () => {
    for (const kind of ['basic', 'bearer'] as const) {
      const server = await startRegistry({ auth: { kind, username: 'me', password: 'pw' } });
      const request = { registry: server.host, username: 'me', password: 'no' };
      await expect(login(request, options())).rejects.toMatchObject({ code: 'E_UNAUTHORIZED' });
      expect(() => statSync(join(home, 'run/containers/auth.json'))).toThrow();
      await login({ ...request, password: 'pw' }, options());
      expect(statSync(join(home, 'run/containers/auth.json')).mode & 0o777).toBe(0o600);
      rmSync(join(home, 'run'), { recursive: true });
      await server.close();
    }
  });

  it('leaves secrets to the helper that the file names', async () => {
    helper('keep', `cat > ${home}/$1.txt`);
    const server = await startRegistry({ auth: { kind: 'basic', username: 'me', password: 'pw' } });
    const file = write('a.json', { credsStore: 'keep' });
    await login({ registry: server.host, username: 'me', password: 'pw' }, options(file));
    expect(JSON.parse(readFileSync(join(home, 'store.txt'), 'utf8'))).toEqual({
      ServerURL: server.host,
      Username: 'me',
      Secret: 'pw',
    });
    expect(readFileSync(file, 'utf8')).not.toContain(auth('me').auth);
    await logout(server.host, files(file));
    expect(readFileSync(join(home, 'erase.txt'), 'utf8')).toBe(server.host);
    await server.close();
  });
});
