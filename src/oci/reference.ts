import { BuildError } from '../errors.ts';
import { type Digest, parseDigest } from './digest.ts';

/**
 * A normalised image reference (distribution/reference grammar).
 * `registry` is the host[:port] that a user writes (`docker.io`, not `registry-1.docker.io`).
 */
export interface Reference {
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const DOMAIN_LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = new RegExp(`^(?:${DOMAIN_LABEL}(?:\\.${DOMAIN_LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const PATH_COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const REPOSITORY = new RegExp(`^${PATH_COMPONENT}(?:/${PATH_COMPONENT})*$`);
const TAG = /^[\w][\w.-]{0,127}$/;
/** distribution/reference NameTotalLengthMax. */
const MAX_NAME = 255;

function invalid(text: string, why: string): BuildError {
  return new BuildError('E_BAD_REFERENCE', `Invalid image reference "${text}": ${why}`, {
    hint: 'Write [registry/]repository[:tag][@sha256:digest], in lower case, for example quay.io/me/app:1.0',
  });
}

function splitRegistry(name: string): [registry: string | undefined, repository: string] {
  const slash = name.indexOf('/');
  if (slash < 0) return [undefined, name];
  const head = name.slice(0, slash);
  const isHost = head.includes('.') || head.includes(':') || head === 'localhost' || head !== head.toLowerCase();
  return isHost ? [head, name.slice(slash + 1)] : [undefined, name];
}

/**
 * Parses what a user writes. `alpine` becomes docker.io/library/alpine; a reference without tag and digest gets
 * `:latest`. Throws `E_BAD_REFERENCE`.
 */
export function parseReference(text: string): Reference {
  let rest = text;
  let digest: Digest | undefined;
  const at = rest.indexOf('@');
  if (at >= 0) {
    digest = parseDigest(rest.slice(at + 1));
    rest = rest.slice(0, at);
  }
  let tag: string | undefined;
  const colon = rest.lastIndexOf(':');
  if (colon > rest.lastIndexOf('/')) {
    tag = rest.slice(colon + 1);
    rest = rest.slice(0, colon);
    if (!TAG.test(tag)) throw invalid(text, `"${tag}" is not a tag`);
  }
  const [host, path] = splitRegistry(rest);
  if (host !== undefined && !DOMAIN.test(host)) throw invalid(text, `"${host}" is not a host name`);
  const registry = host === undefined || host === 'index.docker.io' ? 'docker.io' : host;
  const repository = registry === 'docker.io' && !path.includes('/') ? `library/${path}` : path;
  if (rest === '' || !REPOSITORY.test(repository)) {
    throw invalid(text, /[A-Z]/.test(path) ? 'a repository name is lower case' : `"${path}" is not a repository name`);
  }
  if (registry.length + 1 + repository.length > MAX_NAME) throw invalid(text, `longer than ${MAX_NAME} characters`);
  if (tag === undefined && digest === undefined) tag = 'latest';
  return { registry, repository, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/** `registry/repository`, without tag or digest. */
export const repositoryName = (ref: Reference): string => `${ref.registry}/${ref.repository}`;

/** The full normalised text; parses back to the same reference. */
export const formatReference = (ref: Reference): string =>
  `${repositoryName(ref)}${ref.tag === undefined ? '' : `:${ref.tag}`}${ref.digest === undefined ? '' : `@${ref.digest}`}`;

/**
 * The name that `-t image0` gives: an unqualified name of our own is `localhost/image0:latest`, as buildah names it,
 * so that it can never be mistaken for (or pushed over) docker.io/library/image0.
 */
export function parseLocalName(text: string): Reference {
  const ref = parseReference(text);
  const [host] = splitRegistry(text.split('@')[0] ?? text);
  if (host !== undefined) return ref;
  const repository = text.includes('/') ? ref.repository : ref.repository.replace(/^library\//, '');
  return { ...ref, registry: 'localhost', repository };
}
