import { BuildError, systemErrorCode } from '../errors.ts';

/** What went over the wire, for error messages. */
export interface Exchange {
  readonly method: string;
  readonly url: URL;
}

/** Without user info and query: redirect targets carry signatures there. */
export const redactUrl = (url: URL): string => `${url.origin}${url.pathname}`;

const portOf = (url: URL): string => url.port || (url.protocol === 'https:' ? '443' : '80');

const CERTIFICATE_CODES =
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_.*|CERT_.*|ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)$/;

/** The certificate does not convince; unlike a server that does not speak TLS at all. */
export const isCertificateError = (cause: unknown): boolean => CERTIFICATE_CODES.test(systemErrorCode(cause) ?? '');
const isProtocolError = (code: string): boolean => code === 'EPROTO' || code.startsWith('ERR_SSL_');

export const cancelled = (cause?: unknown): BuildError => new BuildError('E_CANCELLED', 'Cancelled', { cause });

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection closed while sending',
  ENOTFOUND: 'host name not found',
  EAI_AGAIN: 'host name lookup failed for now',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network unreachable',
  ETIMEDOUT: 'connection timed out',
  UND_ERR_CONNECT_TIMEOUT: 'connection timed out',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'the answer stalled',
  UND_ERR_SOCKET: 'connection closed early',
};

/** Node wraps the errors of several addresses into an AggregateError without a message. */
function firstCause(cause: unknown): unknown {
  return cause instanceof AggregateError && cause.errors.length > 0 ? cause.errors[0] : cause;
}

/** A connection that failed, or broke in the middle of a body. `E_UNAVAILABLE` may be tried again. */
export function connectionFailure(thrown: unknown, { method, url }: Exchange): BuildError {
  if (thrown instanceof BuildError) return thrown;
  const cause = firstCause(thrown);
  const code = systemErrorCode(cause) ?? 'UNKNOWN';
  const text = REASONS[code] ?? (cause instanceof Error ? cause.message : String(cause));
  const place = `${url.hostname}:${portOf(url)}`;
  const fields = { method, url: redactUrl(url), host: url.hostname, port: portOf(url), reason: code };
  if (isCertificateError(cause)) {
    return new BuildError('E_TLS', `Cannot trust the certificate of "${place}": ${text}`, {
      hint: "Add the issuer's certificate to the trusted ones (NODE_EXTRA_CA_CERTS), or use --tls-verify=false",
      fields,
      cause,
    });
  }
  if (isProtocolError(code)) {
    return new BuildError('E_TLS', `Cannot talk TLS with "${place}": the server does not seem to speak https`, {
      hint: 'If it is a plain http registry, use --tls-verify=false',
      fields,
      cause,
    });
  }
  return new BuildError('E_UNAVAILABLE', `Cannot reach "${place}" (${method} ${redactUrl(url)}): ${text}`, {
    hint: 'Check the name and port of the registry, the network and the proxy settings',
    fields,
    cause,
  });
}
