import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { SecureContext } from 'node:tls';
import type { Agent, Dispatcher, ProxyAgent } from 'undici';
import type { ByteStream } from '../oci/index.ts';
import { cancelled, connectionFailure, isCertificateError } from './failures.ts';
import { type PlainAnswer, PlainExchange } from './plain-exchange.ts';
import { type ProxySettings, proxyFor } from './proxy.ts';
import type { HttpRequest, Timeouts } from './request.ts';

export interface HttpResponse {
  readonly status: number;
  /** Of the request that was answered, after redirects. */
  readonly url: URL;
  /** The first value of a header, by its lower-case name. */
  header(name: string): string | undefined;
  headers(name: string): readonly string[];
  /** Once. Breaks throw `E_UNAVAILABLE`. */
  readonly body: ByteStream;
  /** Ends the body unread. */
  discard(): Promise<void>;
}

/** A registry hashes a large blob before it answers an upload, hence minutes. */
export const DEFAULT_TIMEOUTS: Timeouts = { connect: 15_000, headers: 180_000, body: 60_000 };

export interface HttpOptions {
  readonly tlsVerify: boolean;
  /** PEM, trusted beside the built-in ones. */
  readonly caCertificates: readonly string[];
  readonly proxy: ProxySettings;
  readonly userAgent: string;
  readonly timeouts: Timeouts;
}

interface Undici {
  readonly request: (dispatcher: Dispatcher, options: Dispatcher.RequestOptions) => Promise<Dispatcher.ResponseData>;
  readonly direct: Agent;
  readonly tunnel: (proxy: URL) => ProxyAgent;
  readonly close: () => Promise<void>;
}

interface Route {
  readonly request: Undici['request'];
  readonly dispatcher: Dispatcher;
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** One exchange at a time over undici: no retries, no redirects, no credentials of its own. */
export class HttpClient {
  readonly #options: HttpOptions;
  #undici: Promise<Undici> | undefined;
  #plain: PlainExchange | undefined;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  /** Throws `E_UNAVAILABLE`, `E_TLS`, `E_CANCELLED`, or whatever the request's body throws. */
  async send(request: HttpRequest): Promise<HttpResponse> {
    const { signal, url } = request;
    if (signal?.aborted) throw cancelled(signal.reason);
    try {
      return wrap(await (this.#isPlain(request) ? this.#ask(request) : this.#exchange(request)), request);
    } catch (cause) {
      if (signal?.aborted) throw cancelled(cause);
      const failure = connectionFailure(cause, request);
      if (!isCertificateError(failure.cause)) throw failure;
      const { describeCertificate } = await import('./certificate.ts'); // like undici: loads TLS
      throw await describeCertificate(failure, url);
    }
  }

  async close(): Promise<void> {
    this.#plain?.close();
    const undici = await this.#undici;
    await undici?.close();
  }

  #isPlain({ isSmall, url }: HttpRequest): boolean {
    return isSmall === true && url.protocol === 'http:' && proxyFor(url, this.#options.proxy) === undefined;
  }

  #ask(request: HttpRequest): Promise<PlainAnswer> {
    this.#plain ??= new PlainExchange(this.#options.timeouts);
    return this.#plain.send(request, { ...request.headers, 'user-agent': this.#options.userAgent });
  }

  async #exchange({ method, url, headers, body, signal }: HttpRequest): Promise<Dispatcher.ResponseData> {
    const { userAgent, timeouts } = this.#options;
    const route = await this.#route(url);
    return route.request(route.dispatcher, {
      origin: route.origin,
      path: route.path,
      method,
      headers: { ...headers, ...route.headers, 'user-agent': userAgent },
      body: openBody(body),
      headersTimeout: timeouts.headers,
      bodyTimeout: timeouts.body,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async #route(url: URL): Promise<Route> {
    this.#undici ??= this.#load();
    const { request, direct, tunnel } = await this.#undici;
    const proxy = proxyFor(url, this.#options.proxy);
    const path = `${url.pathname}${url.search}`;
    if (proxy === undefined) return { request, dispatcher: direct, origin: url.origin, path, headers: {} };
    if (url.protocol === 'https:') return { request, dispatcher: tunnel(proxy), origin: url.origin, path, headers: {} };
    // RFC 9112 section 3.2.2: plain http goes to the proxy in absolute form; many proxies refuse CONNECT to port 80.
    const headers = { host: url.host, ...proxyAuthorization(proxy) };
    return { request, dispatcher: direct, origin: proxy.origin, path: `${url.origin}${path}`, headers };
  }

  /** Loading undici takes time: only who talks to a registry pays. */
  async #load(): Promise<Undici> {
    const { Agent, ProxyAgent, request } = await import('./undici.ts');
    const { tlsVerify, caCertificates, timeouts } = this.#options;
    const trusted = tlsVerify ? await trust(caCertificates) : { ca: [] };
    const tls = { rejectUnauthorized: tlsVerify, timeout: timeouts.connect, ...trusted };
    const tunnels = new Map<string, ProxyAgent>();
    const direct = new Agent({ connect: tls });
    return {
      request,
      direct,
      async close() {
        await Promise.all([direct, ...tunnels.values()].map((agent) => agent.close()));
      },
      tunnel(proxy) {
        const known = tunnels.get(proxy.href);
        if (known !== undefined) return known;
        const made = new ProxyAgent({ uri: proxy.href, requestTls: tls, proxyTls: tls });
        tunnels.set(proxy.href, made);
        return made;
      },
    };
  }
}

/** Where nothing is verified, the 140 built-in certificates need not be read (35 ms). */
async function trust(caCertificates: readonly string[]): Promise<{ readonly secureContext?: SecureContext }> {
  if (caCertificates.length === 0) return {};
  const { createSecureContext } = await import('node:tls');
  const secureContext = createSecureContext();
  // addCACert adds to the built-in roots and NODE_EXTRA_CA_CERTS, where the `ca` option would replace them.
  for (const pem of caCertificates) secureContext.context.addCACert(pem);
  return { secureContext };
}

function proxyAuthorization(proxy: URL): Readonly<Record<string, string>> {
  if (proxy.username === '') return {};
  const userinfo = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(userinfo).toString('base64')}` };
}

function openBody(body: HttpRequest['body']): Readable | Uint8Array | null {
  if (body === undefined) return null;
  return typeof body === 'function' ? Readable.from(body()) : body;
}

type Answer = PlainAnswer | Dispatcher.ResponseData;

function wrap(response: Answer, request: HttpRequest): HttpResponse {
  const all = (name: string): readonly string[] => {
    const value = response.headers[name];
    return value === undefined ? [] : typeof value === 'string' ? [value] : value;
  };
  return {
    status: response.statusCode,
    url: request.url,
    headers: all,
    header: (name) => all(name)[0],
    body: readBody(response.body, request),
    async discard() {
      if ('dump' in response.body) await response.body.dump({ limit: 128 * 1024 }).catch(() => undefined);
      else await finished(response.body.resume()).catch(() => undefined); // then its connection is free
    },
  };
}

async function* readBody(body: Readable, request: HttpRequest): ByteStream {
  try {
    for await (const chunk of body) yield chunk;
  } catch (cause) {
    if (request.signal?.aborted) throw cancelled(cause);
    throw connectionFailure(cause, request);
  }
}
