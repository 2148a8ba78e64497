import type { BuildOptions } from './api.ts';
import { findSecret } from './secrets.ts';

type Given = Pick<BuildOptions, 'secrets' | 'env'>;

/** A secret that may hold a credential for a host, and the header that it makes. */
interface Candidate {
  readonly id: string;
  readonly header: (value: string) => string;
}

const whole = (value: string): string => value;
const bearer = (token: string): string => `Bearer ${token}`;
/** As GitHub takes a token for git; others look at the password only. */
const basic = (token: string): string => `Basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;

function candidates(host: string, use: 'http' | 'git'): readonly Candidate[] {
  if (use === 'http') {
    return [
      { id: `HTTP_AUTH_HEADER_${host}`, header: whole },
      { id: `HTTP_AUTH_TOKEN_${host}`, header: bearer },
    ];
  }
  return [
    { id: `GIT_AUTH_HEADER.${host}`, header: whole },
    { id: `GIT_AUTH_TOKEN.${host}`, header: basic },
    { id: 'GIT_AUTH_HEADER', header: whole },
    { id: 'GIT_AUTH_TOKEN', header: basic },
  ];
}

/**
 * The Authorization header for a URL, from the secrets that BuildKit takes: `HTTP_AUTH_HEADER_<host>` and
 * `HTTP_AUTH_TOKEN_<host>` for files, `GIT_AUTH_HEADER[.<host>]` and `GIT_AUTH_TOKEN[.<host>]` for repositories
 * (docs.docker.com, "Build secrets"). A host may have its port. Throws `E_NO_SECRET`.
 */
export function authorizationFor(given: Given): (url: URL, use: 'http' | 'git') => string | undefined {
  const read = new Map<string, Uint8Array | undefined>(); // a pipe can be read once
  const secret = (id: string): Uint8Array | undefined => {
    if (!read.has(id)) read.set(id, findSecret(id, given));
    return read.get(id);
  };
  return (url, use) => {
    const hosts = [...new Set([url.host, url.hostname])];
    for (const { id, header } of hosts.flatMap((host) => candidates(host, use))) {
      const value = secret(id);
      if (value !== undefined) return header(Buffer.from(value).toString('utf8').trim());
    }
    return undefined;
  };
}
