import { BuildError } from '../errors.ts';
import { type HttpResponse, isLoopback, type Transport } from '../http/index.ts';
import { readAll } from '../oci/index.ts';
import type { Challenge } from './challenge.ts';
import type { Credential } from './credential.ts';
import { statusFailure } from './failures.ts';

export interface Token {
  readonly value: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export interface TokenRequest {
  readonly challenge: Challenge;
  readonly scopes: readonly string[];
  readonly credential: Credential | undefined;
  /** Of the registry that sent the challenge. */
  readonly registry: URL;
  readonly access: string;
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: ((note: string) => void) | undefined;
}

const MAX_TOKEN_BODY = 1024 * 1024;
/** Token spec (distribution/reference token authentication): 60 s if `expires_in` is absent, and never less. */
const MIN_LIFETIME_S = 60;
/** A token about to expire is not worth sending. */
const MARGIN_MS = 10_000;
const CLIENT_ID = 'tsbuild';

/**
 * Credentials go where the registry says, so the registry must not be able to say just anything: https, or, for a
 * registry that is itself plain http, the same host or this machine.
 */
function checkedRealm({ challenge, registry }: TokenRequest): URL {
  const realm = challenge.parameters.realm ?? '';
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  const plain = url?.protocol === 'http:' && registry.protocol === 'http:';
  const trusted =
    url?.protocol === 'https:' || (plain && (url.hostname === registry.hostname || isLoopback(url.hostname)));
  if (url === undefined || !trusted) {
    throw new BuildError('E_UNAUTHORIZED', `Refusing to authenticate at "${realm.slice(0, 200)}"`, {
      hint: `"${registry.host}" names a token server that is not https; check the registry's configuration`,
      fields: { host: registry.host },
    });
  }
  url.username = '';
  url.password = '';
  return url;
}

/** Fetches a bearer token: GET with Basic, or an OAuth2 POST for identity tokens; each falls back to the other. */
export async function fetchToken(request: TokenRequest, transport: Transport): Promise<Token> {
  const { credential } = request;
  if (credential?.kind === 'registry') return { value: credential.token, expiresAt: Number.POSITIVE_INFINITY };
  const realm = checkedRealm(request);
  const ways = credential?.kind === 'identity' ? [post, get] : credential === undefined ? [get] : [get, post];
  let response = await send(request, ways[0] === post ? post(realm, request) : get(realm, request), transport);
  const second = ways[1];
  // Some token servers know one way only (JFrog): 401, 404 or 405 may mean "not like this".
  if (second !== undefined && [401, 404, 405].includes(response.status)) {
    const retried = await send(request, second(realm, request), transport);
    const better = retried.status === 200 || response.status !== 401;
    await (better ? response : retried).discard();
    if (better) response = retried;
  }
  if (response.status !== 200) {
    throw await statusFailure({
      method: 'GET',
      url: realm,
      status: response.status === 404 ? 401 : response.status,
      body: response.body,
      action: `get a token for "${request.registry.host}" from "${realm.host}"`,
      access: request.access,
    });
  }
  return parseToken(await readAll(response.body, MAX_TOKEN_BODY), transport.clock.now());
}

interface TokenCall {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

function send(request: TokenRequest, call: TokenCall, transport: Transport): Promise<HttpResponse> {
  return transport.send({ ...call, readUpTo: MAX_TOKEN_BODY, signal: request.signal, onRetry: request.onRetry });
}

const secretOf = (credential: Exclude<Credential, { kind: 'registry' }>): string =>
  credential.kind === 'password' ? credential.password : credential.token;

/** The Basic scheme (RFC 7617) in UTF-8. */
export const basicAuthorization = (username: string, secret: string): string =>
  `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`;

function get(realm: URL, { challenge, scopes, credential }: TokenRequest): TokenCall {
  const url = new URL(realm);
  if (challenge.parameters.service !== undefined) url.searchParams.set('service', challenge.parameters.service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  if (credential === undefined || credential.kind === 'registry') return { method: 'GET', url, headers: {} };
  url.searchParams.set('account', credential.username);
  return {
    method: 'GET',
    url,
    headers: { authorization: basicAuthorization(credential.username, secretOf(credential)) },
  };
}

function post(realm: URL, { challenge, scopes, credential }: TokenRequest): TokenCall {
  const form = new URLSearchParams({ client_id: CLIENT_ID, scope: scopes.join(' ') });
  if (challenge.parameters.service !== undefined) form.set('service', challenge.parameters.service);
  if (credential?.kind === 'password') {
    form.set('grant_type', 'password');
    form.set('username', credential.username);
    form.set('password', credential.password);
  } else if (credential?.kind === 'identity') {
    form.set('grant_type', 'refresh_token');
    form.set('refresh_token', credential.token);
  }
  return {
    method: 'POST',
    url: realm,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(form.toString()),
  };
}

function parseToken(raw: Uint8Array, now: number): Token {
  let answer: { readonly token?: unknown; readonly access_token?: unknown; readonly expires_in?: unknown } | null =
    null;
  try {
    answer = JSON.parse(Buffer.from(raw).toString('utf8')); // parsed JSON, checked below
  } catch {
    // The parse error would quote the token.
  }
  const value = answer?.token || answer?.access_token;
  // A token with line breaks could not be a header.
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) {
    throw new BuildError('E_UNAUTHORIZED', 'Cannot use the answer of the token server: it holds no token');
  }
  const seconds = typeof answer?.expires_in === 'number' ? answer.expires_in : MIN_LIFETIME_S;
  return { value, expiresAt: now + Math.max(seconds, MIN_LIFETIME_S) * 1000 - MARGIN_MS };
}
