import { BuildError, type ErrorCode, systemErrorCode } from '../errors.ts';
import type { ByteStream } from '../oci/index.ts';

/** What went over the wire, for error messages. */
export interface Exchange {
  readonly method: string;
  readonly url: URL;
}

/** Without user info and query: redirect targets carry signatures there. */
const redactUrl = (url: URL): string => `${url.origin}${url.pathname}`;

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

/** Error bodies above this are cut. */
const MAX_ERROR_BODY = 64 * 1024;

interface SpecError {
  readonly code: string;
  readonly message: string;
}

/** The first bytes of a body; the rest is dropped. */
async function readPrefix(body: ByteStream, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      size += chunk.byteLength;
      if (size >= limit) break;
    }
  } catch {
    // The status is the error to report; a body that breaks off adds nothing.
  }
  return Buffer.concat(chunks).subarray(0, limit).toString('utf8');
}

const printable = (value: unknown, limit: number): string =>
  typeof value === 'string' ? value.replace(/[^\x20-\x7e]+/g, ' ').slice(0, limit) : '';

/** `{"errors":[{"code","message"}]}` (distribution spec, "Error Codes"). Anything else gives an empty list. */
function parseSpecErrors(text: string): readonly SpecError[] {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('errors' in value) || !Array.isArray(value.errors)) return [];
    return value.errors
      .filter((item: unknown): item is object => typeof item === 'object' && item !== null)
      .slice(0, 10)
      .map((item) => ({
        code: printable('code' in item ? item.code : '', 60),
        message: printable('message' in item ? item.message : '', 300),
      }));
  } catch {
    return [];
  }
}

function codeOf(status: number): ErrorCode {
  if (status === 401) return 'E_UNAUTHORIZED';
  if (status === 403) return 'E_DENIED';
  if (status === 404) return 'E_NOT_FOUND';
  if (status === 429) return 'E_RATE_LIMITED';
  return status >= 500 || status === 408 ? 'E_UNAVAILABLE' : 'E_REGISTRY';
}

function hintOf(status: number, access: string | undefined): string | undefined {
  const used = access === undefined ? '' : `; ${access}`;
  if (status === 401)
    return `Log in, or check the spelling: some registries answer so for names that do not exist${used}`;
  if (status === 403) return `Ask for the permission, or log in as another user${used}`;
  if (status === 404) return `Check the spelling; a private repository looks absent without a login${used}`;
  if (status === 429) return `Wait, or log in for a higher limit${used}`;
  return status >= 500 ? 'The registry is in trouble; try again later' : undefined;
}

export interface RefusedExchange extends Exchange {
  readonly status: number;
  readonly body: ByteStream;
  /** What was being done, e.g. `read the manifest of "quay.io/me/app:1"`. */
  readonly action: string;
  /** Which credentials were used, in words. */
  readonly access?: string | undefined;
}

/** An answer that is not the one hoped for. Reads (and so ends) the body. */
export async function statusFailure(exchange: RefusedExchange): Promise<BuildError> {
  const { method, url, status, action, access } = exchange;
  const errors = parseSpecErrors(await readPrefix(exchange.body, MAX_ERROR_BODY));
  const codes = errors.map((error) => error.code).filter((code) => code !== '');
  const said = errors.map((error) => [error.code, error.message].filter((part) => part !== '').join(': ')).join('; ');
  return new BuildError(codeOf(status), `Cannot ${action}: the registry answered ${status}${said && ` (${said})`}`, {
    hint: hintOf(status, access),
    fields: { method, url: redactUrl(url), status, ...(codes.length > 0 ? { codes: codes.join(',') } : {}) },
  });
}
