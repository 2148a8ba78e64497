import { BuildError } from '../errors.ts';
import {
  type HttpRequest,
  type HttpResponse,
  isCertificateError,
  isLoopback,
  isTransientError,
  type Transport,
  type TransportRequest,
} from '../http/index.ts';
import type { Digest } from '../oci/index.ts';
import { type Access, Authenticator } from './authenticator.ts';
import { parseChallenges } from './challenge.ts';
import type { CredentialSource } from './credentials.ts';
import { statusFailure } from './failures.ts';
import { Slots } from './slots.ts';

export interface RegistryCall {
  readonly method: HttpRequest['method'];
  /** A path below the registry (`/v2/...`), or a Location that it gave. */
  readonly target: string | URL;
  /** What is being done, for errors: `read the manifest of "quay.io/me/app:1"`. */
  readonly action: string;
  readonly access: Access;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: HttpRequest['body'];
  /** See `HttpRequest`. */
  readonly isSmall?: boolean;
  /** Statuses that the caller handles; any other throws. */
  readonly expected: readonly number[];
  readonly signal?: AbortSignal | undefined;
  readonly retry?: 'once';
  /** See `TransportRequest`. */
  readonly readUpTo?: number;
  readonly onRetry?: ((note: string) => void) | undefined;
  /** Gets the text of Warning headers (distribution spec, "Warnings"). */
  readonly onWarning?: ((text: string) => void) | undefined;
}

export interface HostDependencies {
  readonly transport: Transport;
  readonly credentials: CredentialSource;
  readonly tlsVerify: boolean;
}

/** As many blobs at once as containers/image takes from one registry. */
const BLOBS_AT_ONCE = 6;
/** The only name whose API lives elsewhere. */
const API_HOSTS: Readonly<Record<string, string>> = { 'docker.io': 'registry-1.docker.io' };
const PING: Access = { repository: '', scopes: [] };

/** One registry: how to reach it and who we are there. */
export class Host {
  readonly transport: Transport;
  /** Held while a blob streams. */
  readonly slots = new Slots(BLOBS_AT_ONCE);
  readonly #registry: string;
  readonly #tlsVerify: boolean;
  readonly #authenticator: Authenticator;
  #endpoint: Promise<URL> | undefined;
  readonly #sent = new Set<string>();

  constructor(registry: string, { transport, credentials, tlsVerify }: HostDependencies) {
    this.#registry = registry;
    this.transport = transport;
    this.#tlsVerify = tlsVerify;
    this.#authenticator = new Authenticator(registry, credentials, transport);
  }

  /** Remembers that a blob went to a repository. */
  markSent(repository: string, digest: Digest): void {
    this.#sent.add(`${repository}@${digest}`);
  }

  hasSent(repository: string, digest: Digest): boolean {
    return this.#sent.has(`${repository}@${digest}`);
  }

  /** An answer with one of the expected statuses. Its body must be read or discarded. */
  async send(call: RegistryCall): Promise<HttpResponse> {
    const base = await this.#connect(call);
    const url = typeof call.target === 'string' ? new URL(call.target, base) : call.target;
    // A Location on another host is signed already, and our credentials are none of its business.
    const own = url.origin === base.origin;
    const context = { registry: base, signal: call.signal, onRetry: call.onRetry };
    const sent = own ? await this.#authenticator.authorization(call.access, context) : undefined;
    let response = await this.#exchange(url, call, sent);
    if (response.status === 401 && response.url.origin === base.origin) {
      const challenges = parseChallenges(response.headers('www-authenticate'));
      const renewed = await this.#authenticator.renew(challenges, call.access, { ...context, sent });
      if (renewed !== undefined) {
        await response.discard();
        response = await this.#exchange(url, call, renewed);
      }
    }
    this.#warn(response, call);
    if (call.expected.includes(response.status)) return response;
    throw await this.failure(response, call);
  }

  /** The error for an answer that the caller cannot use. */
  async failure(response: HttpResponse, call: RegistryCall): Promise<BuildError> {
    const { method, action } = call;
    const access = await this.#authenticator.describe(call.access.repository);
    return statusFailure({ method, action, access, url: response.url, status: response.status, body: response.body });
  }

  #exchange(url: URL, call: RegistryCall, authorization: string | undefined): Promise<HttpResponse> {
    const { method, body, isSmall = false, signal, retry, readUpTo, onRetry } = call;
    const headers = { ...call.headers, ...(authorization === undefined ? {} : { authorization }) };
    const optional = { ...(retry === undefined ? {} : { retry }), ...(readUpTo === undefined ? {} : { readUpTo }) };
    const request: TransportRequest = { method, url, headers, body, isSmall, signal, onRetry, ...optional };
    return this.transport.send({ ...request, allowDowngrade: !this.#tlsVerify });
  }

  #warn(response: HttpResponse, call: RegistryCall): void {
    for (const value of response.headers('warning')) {
      const text = /^299 - "((?:[^"\\]|\\.)*)"/.exec(value)?.[1];
      if (text !== undefined)
        call.onWarning?.(
          text
            .replace(/\\(.)/g, '$1')
            .replace(/[^\x20-\x7e]+/g, ' ')
            .slice(0, 500),
        );
    }
  }

  /** Finds scheme and challenges, once. A failure is not remembered. */
  #connect(call: RegistryCall): Promise<URL> {
    this.#endpoint ??= this.#ping(call).catch((error: unknown) => {
      this.#endpoint = undefined;
      throw error;
    });
    return this.#endpoint;
  }

  /**
   * `GET /v2/` without credentials: 200 and 401 both say that a registry is there, and 401 what it wants. On this machine
   * plain http comes first (a server of TLS answers 400 to it, or nothing), elsewhere https; plain http follows only for
   * this machine or without verification, and never after a certificate that was looked at and refused.
   */
  async #ping({ signal, onRetry, action }: RegistryCall): Promise<URL> {
    const host = API_HOSTS[this.#registry] ?? this.#registry;
    const https = new URL(`https://${host}`);
    const plain = !this.#tlsVerify || isLoopback(https.hostname);
    const request = { method: 'GET', signal, onRetry, headers: {} } as const;
    if (isLoopback(https.hostname)) {
      const answer = await this.#plainAnswer(new URL(`http://${host}`), request);
      if (answer) return this.#learn(new URL(`http://${host}`), answer, action);
    }
    if (plain && (await this.#speaksTls(https, request)))
      return this.#learn(https, await this.#get(https, request), action);
    const base = plain ? new URL(`http://${host}`) : https;
    return this.#learn(base, await this.#get(base, request), action);
  }

  #get(base: URL, request: Omit<TransportRequest, 'url'>): Promise<HttpResponse> {
    return this.transport.send({ ...request, url: new URL('/v2/', base), isSmall: true });
  }

  /** undefined: nothing there, or not a registry in plain http. */
  async #plainAnswer(base: URL, request: Omit<TransportRequest, 'url'>): Promise<HttpResponse | undefined> {
    try {
      const response = await this.#get(base, { ...request, retry: 'once' });
      const isRegistry = response.status === 200 || response.status === 401;
      if (isRegistry && response.url.origin === base.origin) return response;
      await response.discard();
    } catch (error) {
      if (!isTransientError(error)) throw error;
    }
    return undefined;
  }

  async #speaksTls(base: URL, request: Omit<TransportRequest, 'url'>): Promise<boolean> {
    try {
      const response = await this.#get(base, { ...request, retry: 'once' });
      await response.discard();
      return true;
    } catch (error) {
      const notTls = error instanceof BuildError && error.code === 'E_TLS' && !isCertificateError(error.cause);
      if (isTransientError(error) || notTls) return false;
      throw error;
    }
  }

  async #learn(base: URL, response: HttpResponse, action: string): Promise<URL> {
    this.#authenticator.learn(parseChallenges(response.headers('www-authenticate')));
    if (response.status === 429 || response.status >= 500) {
      throw await this.failure(response, { method: 'GET', target: base, action, access: PING, expected: [] });
    }
    await response.discard();
    return base;
  }
}
