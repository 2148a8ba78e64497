import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, realpath, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BuildError, systemErrorCode } from '../errors.ts';
import type { Credential } from './credential.ts';

/** What an auth.json, docker config.json or .dockercfg says, its keys normalised. */
export interface AuthFile {
  readonly path: string;
  /** For error messages. */
  readonly keys: readonly string[];
  readonly credentials: ReadonlyMap<string, Credential>;
  /** `credHelpers`: registry to helper name. */
  readonly helpers: ReadonlyMap<string, string>;
  /** `credsStore`. */
  readonly defaultHelper: string | undefined;
}

export type JsonObject = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const objectAt = (object: JsonObject, name: string): JsonObject => {
  const value = object[name];
  return isObject(value) ? value : {};
};

const textAt = (object: JsonObject, name: string): string | undefined => {
  const value = object[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
};

/** Docker Hub has three names, and docker writes URLs as keys: `https://index.docker.io/v1/` is `docker.io`. */
export function normalizeKey(key: string): string {
  const bare = key
    .replace(/^https?:\/\//, '')
    .replace(/\/+$/, '')
    .replace(/^([^/]+)\/v[12]$/, '$1');
  return bare.replace(/^(?:index|registry-1)\.docker\.io(?=\/|$)/, 'docker.io');
}

/** undefined for an entry without anything in it: docker leaves such beside a credential store. */
function parseEntry(entry: unknown): Credential | undefined {
  if (!isObject(entry)) return undefined;
  const auth = Buffer.from(textAt(entry, 'auth') ?? '', 'base64').toString('utf8');
  const colon = auth.indexOf(':');
  const username = colon >= 0 ? auth.slice(0, colon) : (textAt(entry, 'username') ?? '');
  // Docker pads with NUL bytes in old files.
  const password = colon >= 0 ? auth.slice(colon + 1).replace(/\0+$/, '') : (textAt(entry, 'password') ?? '');
  const registryToken = textAt(entry, 'registrytoken');
  if (registryToken !== undefined) return { kind: 'registry', token: registryToken };
  const identityToken = textAt(entry, 'identitytoken');
  if (identityToken !== undefined) return { kind: 'identity', username, token: identityToken };
  return username === '' && password === '' ? undefined : { kind: 'password', username, password };
}

const unreadable = (path: string, why: string, cause: unknown): BuildError =>
  new BuildError('E_UNAUTHORIZED', `Cannot read the credentials in "${path}": ${why}`, {
    hint: 'Correct or remove the file, or log in again',
    cause,
  });

/** The file's JSON object; undefined: there is no such file. Throws `E_UNAUTHORIZED`; its text never quotes content. */
export async function readAuthJson(path: string): Promise<JsonObject | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const code = systemErrorCode(cause);
    // Root's runtime directory may be closed to us; a file nobody pointed us to is then not ours either.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return undefined;
    throw unreadable(path, code ?? 'not readable', cause);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // JSON.parse quotes the text, which holds secrets: its error must not become our cause.
  }
  throw unreadable(path, 'not a JSON object', undefined);
}

/** Throws `E_UNAUTHORIZED` for a damaged file, and for a missing one if `required`. */
export async function readAuthFile(
  path: string,
  { legacy = false, required = false }: { readonly legacy?: boolean; readonly required?: boolean },
): Promise<AuthFile | undefined> {
  const json = await readAuthJson(path);
  if (json === undefined) {
    if (required) throw unreadable(path, 'no such file, or no permission to read it', undefined);
    return undefined;
  }
  const entries = Object.entries(legacy ? json : objectAt(json, 'auths'));
  const credentials = new Map<string, Credential>();
  for (const [key, entry] of entries) {
    const credential = parseEntry(entry);
    if (credential !== undefined) credentials.set(normalizeKey(key), credential);
  }
  const helpers = Object.entries(legacy ? {} : objectAt(json, 'credHelpers')).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return {
    path,
    keys: [...entries, ...helpers].map(([key]) => key),
    credentials,
    helpers: new Map(helpers.map(([key, helper]) => [normalizeKey(key), helper])),
    defaultHelper: legacy ? undefined : textAt(json, 'credsStore'),
  };
}

/** Replaces the file in one step, readable for its owner only. A symbolic link stays one. */
export async function writeAuthJson(path: string, json: JsonObject): Promise<void> {
  const target = await realpath(path).catch(() => path);
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  const temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(json, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new BuildError('E_UNAUTHORIZED', `Cannot write the credentials to "${path}"`, {
      hint: 'Choose another file with --authfile',
      cause,
    });
  }
}
