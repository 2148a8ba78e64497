/**
 * HTTP as the registry and remote sources need it: one exchange over undici (`HttpClient`: proxies, certificates,
 * timeouts) and, on top, what to do when an answer is not the last word (`Transport`: tries again with growing waits,
 * follows redirects and leaves credentials behind at the border of a host).
 *
 * Loads undici at the first request and reads no environment: proxies are given in. Knows nothing of what it carries.
 */
export {
  DEFAULT_TIMEOUTS,
  HttpClient,
  type HttpOptions,
  type HttpResponse,
} from './client.ts';
export { type Clock, systemClock } from './clock.ts';
export { type Exchange, isCertificateError, redactUrl } from './failures.ts';
export { isLoopback, type ProxySettings } from './proxy.ts';
export type { HttpRequest, Timeouts } from './request.ts';
export { type FailedTry, isTransientError, isTransientStatus, parseRetryAfter, retryDelay } from './retry.ts';
export { resolveLocation, Transport, type TransportRequest } from './transport.ts';
