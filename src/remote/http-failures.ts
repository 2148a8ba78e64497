import { BuildError, type ErrorCode } from '../errors.ts';
import { type HttpResponse, redactUrl } from '../http/index.ts';

/** Without user info and the values of the query: both may be secrets. */
export const shownUrl = (url: URL): string => `${redactUrl(url)}${url.search === '' ? '' : '?...'}`;

function codeOf(status: number): ErrorCode {
  if (status === 401 || status === 407) return 'E_UNAUTHORIZED';
  if (status === 403) return 'E_DENIED';
  if (status === 404 || status === 410) return 'E_NOT_FOUND';
  if (status === 429) return 'E_RATE_LIMITED';
  return status >= 500 || status === 408 ? 'E_UNAVAILABLE' : 'E_REMOTE';
}

function hintOf(status: number): string {
  if (status === 401) return 'The server wants credentials; a URL may hold them: https://USER:PASSWORD@HOST/PATH';
  if (status === 403) return 'The server knows the file and does not give it to you; check the URL and who may read it';
  if (status === 404 || status === 410) return 'Check the URL, for example by opening it in a browser';
  if (status === 429) return 'Wait, or fetch the file less often: with --checksum it is fetched once';
  return status >= 500 ? 'The server is in trouble; try again later' : 'Check the URL';
}

/** An answer that holds no file. Ends its body. */
export async function statusFailure(response: HttpResponse, url: URL): Promise<BuildError> {
  const { status } = response;
  await response.discard();
  const redirected = response.url.host === url.host ? '' : `, after a redirect to "${response.url.host}",`;
  const message = `Cannot fetch "${shownUrl(url)}": the server answered${redirected} ${status}`;
  return new BuildError(codeOf(status), message, { hint: hintOf(status), fields: { url: shownUrl(url), status } });
}

const HINTS: Partial<Readonly<Record<ErrorCode, string>>> = {
  E_UNAVAILABLE: 'Check the URL, the network and the proxy settings; a kept copy is used only with --checksum',
  E_TLS: "Add the issuer's certificate to the trusted ones (NODE_EXTRA_CA_CERTS)",
  E_REMOTE: 'Check the URL; where it leads from https to http, give --checksum, which makes that safe',
};

/** What `Transport` throws, in words of a file instead of a registry. Anything else passes. */
export function fetchFailure(error: unknown, url: URL): unknown {
  if (!(error instanceof BuildError)) return error;
  const code = error.code === 'E_REGISTRY' ? 'E_REMOTE' : error.code;
  const hint = HINTS[code];
  if (hint === undefined || error.message.startsWith('Cannot fetch')) return error;
  const reason = `${error.message.charAt(0).toLowerCase()}${error.message.slice(1)}`;
  const { cause, fields } = error;
  return new BuildError(code, `Cannot fetch "${shownUrl(url)}": ${reason}`, { hint, cause, fields });
}
