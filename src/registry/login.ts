import { BuildError } from '../errors.ts';
import { type JsonObject, normalizeKey, objectAt, readAuthJson, writeAuthJson } from './auth-file.ts';
import { eraseFromHelper, storeInHelper } from './credential-helper.ts';
import { type CredentialFiles, loginFile } from './credentials.ts';
import { createRegistry, type RegistryOptions } from './registry.ts';

export interface Login {
  /** host[:port], as in image names; a repository prefix (`quay.io/me`) narrows the entry. */
  readonly registry: string;
  readonly username: string;
  readonly password: string;
}

export interface LoginOptions extends Omit<RegistryOptions, 'credentials'> {
  readonly files: CredentialFiles;
  readonly signal?: AbortSignal | undefined;
}

export interface LoginResult {
  /** Where the credentials are (or were). */
  readonly file: string;
}

const helperOf = (json: JsonObject, key: string): string | undefined => {
  const own = Object.entries(objectAt(json, 'credHelpers')).find(([name]) => normalizeKey(name) === key)?.[1];
  const helper = own ?? json.credsStore;
  return typeof helper === 'string' && helper !== '' ? helper : undefined;
};

const withoutKey = (entries: JsonObject, key: string): JsonObject =>
  Object.fromEntries(Object.entries(entries).filter(([name]) => normalizeKey(name) !== key));

/** Asks the registry whether it takes them. Throws `E_UNAUTHORIZED`. */
async function checkLogin({ registry, username, password }: Login, options: LoginOptions): Promise<void> {
  const [host = registry] = registry.split('/');
  const credential = { kind: 'password', username, password } as const;
  const credentials = { lookup: async () => ({ credential, origin: `used user "${username}" as given` }) };
  const client = createRegistry({ ...options, credentials });
  try {
    const response = await client.host(host).send({
      method: 'GET',
      target: '/v2/',
      action: `log in to "${host}"`,
      access: { repository: '', scopes: [] },
      expected: [200],
      signal: options.signal,
    });
    await response.discard();
  } finally {
    await client.close();
  }
}

/**
 * Verifies the credentials against `/v2/` and keeps them in the file that podman and buildah use, too, mode 0600, or in
 * the credential helper that this file names for the registry.
 */
export async function login(request: Login, options: LoginOptions): Promise<LoginResult> {
  const { username, password } = request;
  if (username === '' || username.includes(':')) {
    throw new BuildError('E_USAGE', `Invalid user name "${username}"`, { hint: 'It is not empty and has no colon' });
  }
  const key = normalizeKey(request.registry);
  await checkLogin({ ...request, registry: key }, options);
  const file = loginFile(options.files);
  const json = (await readAuthJson(file)) ?? {};
  const helper = helperOf(json, key);
  if (helper !== undefined) {
    await storeInHelper(helper, key, { username, password });
    return { file: `docker-credential-${helper}` };
  }
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  await writeAuthJson(file, { ...json, auths: { ...withoutKey(objectAt(json, 'auths'), key), [key]: { auth } } });
  return { file };
}

/** Forgets the credentials of a registry. Throws `E_USAGE` if there are none in the file that `login` writes. */
export async function logout(registry: string, files: CredentialFiles): Promise<LoginResult> {
  const key = normalizeKey(registry);
  const file = loginFile(files);
  const json = (await readAuthJson(file)) ?? {};
  const helper = helperOf(json, key);
  if (helper !== undefined) {
    await eraseFromHelper(helper, key);
    return { file: `docker-credential-${helper}` };
  }
  const auths = objectAt(json, 'auths');
  const left = withoutKey(auths, key);
  if (Object.keys(left).length === Object.keys(auths).length) {
    throw new BuildError('E_USAGE', `Not logged in to "${key}": no entry in "${file}"`, {
      hint: 'Name the file with --authfile if the login is kept elsewhere',
    });
  }
  await writeAuthJson(file, { ...json, auths: left });
  return { file };
}
