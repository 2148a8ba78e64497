import type { Transport } from '../http/index.ts';
import type { Challenge } from './challenge.ts';
import type { CredentialLookup, CredentialSource } from './credentials.ts';
import { basicAuthorization, fetchToken, type Token } from './token.ts';

/** What a request needs permission for. */
export interface Access {
  /** Empty for the registry itself. */
  readonly repository: string;
  /** Token scopes, e.g. `repository:me/app:pull,push`. */
  readonly scopes: readonly string[];
}

export interface AccessCall {
  readonly registry: URL;
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: ((note: string) => void) | undefined;
}

export const pullScope = (repository: string): string => `repository:${repository}:pull`;
export const pushScope = (repository: string): string => `repository:${repository}:pull,push`;

/** Who we are at one registry: the challenges it sent, the credentials that match, the tokens it gave. */
export class Authenticator {
  readonly #registry: string;
  readonly #credentials: CredentialSource;
  readonly #transport: Transport;
  readonly #lookups = new Map<string, Promise<CredentialLookup>>();
  /** By scopes: one request however many ask at once. */
  readonly #tokens = new Map<string, Promise<Token>>();
  #challenges: readonly Challenge[] = [];

  constructor(registry: string, credentials: CredentialSource, transport: Transport) {
    this.#registry = registry;
    this.#credentials = credentials;
    this.#transport = transport;
  }

  /** Remembers what the registry asked for. */
  learn(challenges: readonly Challenge[]): void {
    if (challenges.length > 0) this.#challenges = challenges;
  }

  /** The Authorization header; undefined where the registry wants none or we have nothing to offer. */
  async authorization(access: Access, call: AccessCall): Promise<string | undefined> {
    const bearer = this.#challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer !== undefined) return `Bearer ${(await this.#token(bearer, access, call)).value}`;
    if (!this.#challenges.some(({ scheme }) => scheme === 'basic')) return undefined;
    const { credential } = await this.#lookup(access.repository);
    if (credential?.kind === 'password') return basicAuthorization(credential.username, credential.password);
    return credential?.kind === 'registry' ? `Bearer ${credential.token}` : undefined;
  }

  /**
   * After a 401: another header to try once, or undefined. A token is got anew, with the scope that the registry
   * names where it says that ours was too narrow.
   */
  async renew(
    challenges: readonly Challenge[],
    access: Access,
    refused: AccessCall & { readonly sent: string | undefined },
  ): Promise<string | undefined> {
    this.learn(challenges);
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    const wanted = bearer?.parameters.error === 'insufficient_scope' ? bearer.parameters.scope : undefined;
    const scopes = wanted === undefined ? access.scopes : [...new Set([...access.scopes, ...wanted.split(' ')])];
    this.#tokens.delete(tokenKey(scopes));
    const next = await this.authorization({ ...access, scopes }, refused);
    return next === refused.sent ? undefined : next;
  }

  /** Which credentials were used, in words. */
  async describe(repository: string): Promise<string> {
    return (await this.#lookup(repository)).origin;
  }

  #lookup(repository: string): Promise<CredentialLookup> {
    const known = this.#lookups.get(repository) ?? this.#credentials.lookup(this.#registry, repository);
    this.#lookups.set(repository, known);
    return known;
  }

  async #token(challenge: Challenge, access: Access, call: AccessCall): Promise<Token> {
    const key = tokenKey(access.scopes);
    const known = this.#tokens.get(key);
    if (known !== undefined) {
      const token = await known;
      if (token.expiresAt > this.#transport.clock.now()) return token;
      // Only who finds the expired one removes it: another may already have asked for a new one.
      if (this.#tokens.get(key) === known) this.#tokens.delete(key);
      return this.#token(challenge, access, call);
    }
    const pending = this.#fetch(challenge, access, call);
    this.#tokens.set(key, pending);
    pending.catch(() => {
      if (this.#tokens.get(key) === pending) this.#tokens.delete(key);
    });
    return pending;
  }

  async #fetch(challenge: Challenge, access: Access, call: AccessCall): Promise<Token> {
    const { credential, origin } = await this.#lookup(access.repository);
    const { scopes } = access;
    return fetchToken({ ...call, challenge, scopes, credential, access: origin }, this.#transport);
  }
}

const tokenKey = (scopes: readonly string[]): string => scopes.toSorted().join(' ');
