import { BuildError } from '../errors.ts';
import { type ByteStream, readAll } from '../oci/index.ts';
import type { HttpClient, HttpResponse } from './client.ts';
import type { Clock } from './clock.ts';
import { cancelled } from './failures.ts';
import type { HttpRequest } from './request.ts';
import { isTransientError, isTransientStatus, parseRetryAfter, retryDelay } from './retry.ts';

/** As curl and the browsers have it within a factor of two. */
const MAX_REDIRECTS = 10;

export interface TransportRequest extends HttpRequest {
  /** `once`: the caller tries again itself, from an earlier step. */
  readonly retry?: 'once';
  /** Told before each wait, e.g. `the server answered 503, next try in 3 s`. */
  readonly onRetry?: ((note: string) => void) | undefined;
  /** Small answers (status 200) are read here, so that a broken body is tried again too; more bytes than this throw. */
  readonly readUpTo?: number;
  /** Plain http after https; only where verification is off. */
  readonly allowDowngrade?: boolean;
}

/** Headers that prove who we are: they stay with the origin they were meant for (CVE-2020-15157). */
function forOrigin(headers: HttpRequest['headers'], same: boolean): HttpRequest['headers'] {
  if (same) return headers;
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'authorization' && name !== 'cookie'));
}

/** Repeats and redirects. Every method may be repeated: bodies open anew, and uploads are named by their digest. */
export class Transport {
  readonly #http: HttpClient;
  readonly clock: Clock;

  constructor(http: HttpClient, clock: Clock) {
    this.#http = http;
    this.clock = clock;
  }

  /** The final answer, whatever its status. Throws when no answer came. */
  async send(request: TransportRequest): Promise<HttpResponse> {
    for (let tries = 1; ; tries++) {
      const outcome = await this.#try(request);
      const wait = request.retry === 'once' ? undefined : this.#delay(outcome, tries);
      if (wait === undefined) {
        if (outcome instanceof BuildError) throw outcome;
        return outcome;
      }
      const what = outcome instanceof BuildError ? outcome.message : `the server answered ${outcome.status}`;
      if (!(outcome instanceof BuildError)) await outcome.discard();
      request.onRetry?.(`${what}; next try in ${Math.max(1, Math.round(wait / 1000))} s`);
      await this.wait(wait, request.signal);
    }
  }

  /** Sleeps; throws `E_CANCELLED` when `signal` aborts. */
  async wait(ms: number, signal?: AbortSignal): Promise<void> {
    try {
      await this.clock.sleep(ms, signal);
    } catch (cause) {
      throw cancelled(cause);
    }
  }

  async #try(request: TransportRequest): Promise<HttpResponse | BuildError> {
    try {
      const response = await this.#follow(request);
      const { readUpTo } = request;
      return readUpTo === undefined || response.status !== 200 ? response : await readWhole(response, readUpTo);
    } catch (error) {
      if (isTransientError(error)) return error;
      throw error;
    }
  }

  #delay(outcome: HttpResponse | BuildError, tries: number): number | undefined {
    if (outcome instanceof BuildError) return retryDelay({ tries, error: outcome }, this.clock);
    if (!isTransientStatus(outcome.status)) return undefined;
    const retryAfterMs = parseRetryAfter(outcome.header('retry-after'), this.clock.now());
    return retryDelay({ tries, retryAfterMs }, this.clock);
  }

  async #follow(request: TransportRequest): Promise<HttpResponse> {
    let current: TransportRequest = request;
    for (let redirects = 0; ; redirects++) {
      const response = await this.#http.send(current);
      const target = redirectTarget(response, current);
      if (target === undefined) return response;
      await response.discard();
      if (redirects === MAX_REDIRECTS) throw redirectError(current, `more than ${MAX_REDIRECTS} redirects`);
      const same = target.origin === current.url.origin;
      current = { ...current, url: target, headers: forOrigin(current.headers, same) };
    }
  }
}

async function readWhole(response: HttpResponse, limit: number): Promise<HttpResponse> {
  const bytes = await readAll(response.body, limit);
  async function* body(): ByteStream {
    yield bytes;
  }
  return { ...response, body: body(), discard: async () => undefined };
}

const redirectError = (request: HttpRequest, why: string): BuildError =>
  new BuildError('E_REGISTRY', `Cannot follow a redirect from "${request.url.host}": ${why}`, {
    hint: 'Check the configuration of the server, or of a proxy in front of it',
    fields: { method: request.method, host: request.url.host },
  });

/** Where the answer sends us; undefined: it is final. */
function redirectTarget(response: HttpResponse, request: TransportRequest): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(response.status)) return undefined;
  const location = response.header('location');
  if (location === undefined) return undefined;
  const bodyless = request.method === 'GET' || request.method === 'HEAD';
  // 307 and 308 keep method and body (RFC 9110 section 15.4); the others would turn an upload into a GET.
  if (!bodyless && response.status !== 307 && response.status !== 308) {
    throw redirectError(request, `status ${response.status} for ${request.method}`);
  }
  const target = resolveLocation(location, request.url);
  if (target.protocol === 'http:' && request.url.protocol === 'https:' && request.allowDowngrade !== true) {
    throw redirectError(request, `it leads from https to plain http at "${target.host}"`);
  }
  return target;
}

/**
 * A Location header as a URL. A registry behind a proxy that ends TLS often names itself with http: then https stays.
 * Throws `E_REGISTRY` for anything that is not http.
 */
export function resolveLocation(location: string, base: URL): URL {
  if (!URL.canParse(location, base.href)) throw new BuildError('E_REGISTRY', `"${base.host}" sent an invalid Location`);
  const target = new URL(location, base);
  if (target.protocol !== 'https:' && target.protocol !== 'http:') {
    throw new BuildError('E_REGISTRY', `"${base.host}" sent a Location with the scheme "${target.protocol}"`);
  }
  target.username = '';
  target.password = '';
  if (base.protocol === 'https:' && target.hostname === base.hostname && target.port === base.port) {
    target.protocol = 'https:';
  }
  return target;
}
