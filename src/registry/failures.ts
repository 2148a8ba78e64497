import { BuildError, type ErrorCode } from '../errors.ts';
import { type Exchange, redactUrl } from '../http/index.ts';
import type { ByteStream } from '../oci/index.ts';

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
