import { join } from 'node:path';
import { type AuthFile, readAuthFile } from './auth-file.ts';
import type { Credential } from './credential.ts';
import { askHelper } from './credential-helper.ts';

export interface CredentialLookup {
  readonly credential?: Credential;
  /** For error messages: `user "me" from key "quay.io" in /home/me/...`, or where nothing was found. Never secrets. */
  readonly origin: string;
}

export interface CredentialSource {
  /** Throws `E_UNAUTHORIZED` for files that cannot be read and helpers that fail. */
  lookup(registry: string, repository: string): Promise<CredentialLookup>;
}

/** Never any credentials. */
export const anonymous: CredentialSource = {
  lookup: async () => ({ origin: 'no credentials were given' }),
};

export interface CredentialEnv {
  readonly REGISTRY_AUTH_FILE?: string | undefined;
  readonly XDG_RUNTIME_DIR?: string | undefined;
  readonly XDG_CONFIG_HOME?: string | undefined;
  readonly DOCKER_CONFIG?: string | undefined;
  readonly HOME?: string | undefined;
}

export interface CredentialFiles {
  /** The only file to read. */
  readonly authfile?: string | undefined;
  readonly env: CredentialEnv;
  readonly uid: number;
}

/** The file that a login writes (containers-auth.json(5)). */
export function loginFile({ authfile, env, uid }: CredentialFiles): string {
  return authfile || env.REGISTRY_AUTH_FILE || runtimeFile(env, uid);
}

const runtimeFile = (env: CredentialEnv, uid: number): string =>
  env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, 'containers/auth.json') : `/run/containers/${uid}/auth.json`;

interface Candidate {
  readonly path: string;
  /** `~/.dockercfg`: the `auths` object without its name. */
  readonly legacy?: boolean;
  readonly required?: boolean;
}

/** In the order of containers-auth.json(5): first hit wins. */
function candidates({ authfile, env, uid }: CredentialFiles): readonly Candidate[] {
  const explicit = authfile || env.REGISTRY_AUTH_FILE;
  if (explicit) return [{ path: explicit, required: true }];
  const home = env.HOME || undefined;
  const config = env.XDG_CONFIG_HOME || (home && join(home, '.config'));
  const docker = env.DOCKER_CONFIG || (home && join(home, '.docker'));
  return [
    { path: runtimeFile(env, uid) },
    ...(config ? [{ path: join(config, 'containers/auth.json') }] : []),
    ...(docker ? [{ path: join(docker, 'config.json') }] : []),
    ...(home ? [{ path: join(home, '.dockercfg'), legacy: true }] : []),
  ];
}

/**
 * Reads the credentials that podman, buildah, skopeo and docker leave behind. Files are read at the first look-up.
 * `authfile` or REGISTRY_AUTH_FILE is the only file read, and must exist.
 */
export function loadCredentials(files: CredentialFiles): CredentialSource {
  const known = new Map<string, Promise<AuthFile | undefined>>();
  const read = (candidate: Candidate): Promise<AuthFile | undefined> => {
    const pending = known.get(candidate.path) ?? readAuthFile(candidate.path, candidate);
    known.set(candidate.path, pending);
    return pending;
  };
  return {
    async lookup(registry, repository) {
      const read_: string[] = [];
      for (const candidate of candidates(files)) {
        const file = await read(candidate);
        if (file === undefined) continue;
        const hit = await lookupIn(file, keysOf(registry, repository));
        if (hit !== undefined) return hit;
        read_.push(
          `${candidate.path} (${file.keys.length === 0 ? 'empty' : `keys: ${file.keys.slice(0, 10).join(', ')}`})`,
        );
      }
      if (read_.length > 0) return { origin: `no entry for "${registry}" in ${read_.join(', ')}` };
      return {
        origin: `no credentials: none of ${candidates(files)
          .map(({ path }) => path)
          .join(', ')} exists`,
      };
    },
  };
}

/** `host/ns/repo`, `host/ns`, `host`: most specific first. */
function keysOf(registry: string, repository: string): readonly string[] {
  const parts = [registry, ...(repository === '' ? [] : repository.split('/'))];
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('/'));
}

async function lookupIn(file: AuthFile, keys: readonly string[]): Promise<CredentialLookup | undefined> {
  for (const key of keys) {
    const helper = file.helpers.get(key);
    if (helper !== undefined) {
      const credential = await askHelper(helper, key);
      if (credential !== undefined) return { credential, origin: describe(credential, `docker-credential-${helper}`) };
    }
    const credential = file.credentials.get(key);
    if (credential !== undefined) return { credential, origin: describe(credential, `key "${key}" in ${file.path}`) };
  }
  const host = keys.at(-1) ?? '';
  if (file.defaultHelper === undefined) return undefined;
  const credential = await askHelper(file.defaultHelper, host);
  return credential && { credential, origin: describe(credential, `docker-credential-${file.defaultHelper}`) };
}

function describe(credential: Credential, from: string): string {
  switch (credential.kind) {
    case 'password':
      return `used user "${credential.username}" from ${from}`;
    case 'identity':
      return `used the identity token from ${from}`;
    case 'registry':
      return `used the registry token from ${from}`;
    default:
      return credential satisfies never;
  }
}
