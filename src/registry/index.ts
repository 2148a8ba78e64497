/**
 * Owns the distribution protocol (OCI distribution-spec 1.1): `Registry` is the image source and sink behind pull and
 * push. Below it, from the wire up: `http` (one exchange over undici), `transport` (retries, redirects), `host` (one
 * registry: scheme, challenges, tokens), `resolve` and `download` (pull), `push` and `upload`. Beside it the
 * credentials that podman and docker leave behind, login and logout.
 *
 * Loads undici at the first request and reads no environment: proxies and paths are given in.
 */
export type { Credential } from './credential.ts';
export {
  anonymous,
  type CredentialEnv,
  type CredentialFiles,
  type CredentialLookup,
  type CredentialSource,
  loadCredentials,
} from './credentials.ts';
export { type Login, type LoginOptions, type LoginResult, login, logout } from './login.ts';
export { createRegistry, type Registry, type RegistryOptions } from './registry.ts';
export type { Decompress } from './remote-layer.ts';
export type { DistributionSources } from './upload.ts';
