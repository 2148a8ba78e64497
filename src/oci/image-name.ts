import { BuildError } from '../errors.ts';
import { isDigest } from './digest.ts';
import { formatReference, parseReference } from './reference.ts';

/** An image in a file or directory of this machine, as containers-transports(5) spells it. */
export interface LocalImageName {
  readonly transport: 'oci' | 'oci-archive' | 'docker-archive' | 'dir';
  /** As written: relative to the working directory of the caller. */
  readonly path: string;
  /** Which of several: a tag, a whole name, or the digest of a manifest. */
  readonly name?: string;
}

/** What FROM, `--from` and `--build-context` may name: an image of the store or a registry, or a local one. */
export type ImageName = { readonly transport: 'docker'; readonly reference: string } | LocalImageName;

const LOCAL = ['oci-archive', 'docker-archive', 'oci', 'dir'] as const;
const USABLE = 'docker://NAME, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] and dir:DIR';

/** Transports that need another program's storage or daemon, and what to do instead. */
const REFUSED: Readonly<Record<string, { readonly why: string; readonly hint: string }>> = {
  'containers-storage': {
    why: 'the storage of podman and buildah is theirs and is not read',
    hint: 'Write it to a file, "podman save --format oci-archive -o FILE NAME", and use oci-archive:FILE',
  },
  'docker-daemon': {
    why: 'no daemon is asked',
    hint: 'Write it to a file, "docker save -o FILE NAME", and use docker-archive:FILE',
  },
  ostree: { why: 'this transport is not supported', hint: `There are ${USABLE}` },
  sif: { why: 'this transport is not supported', hint: `There are ${USABLE}` },
  tarball: {
    why: 'this transport is not supported',
    hint: 'Bring the tar into the store with "tsbuild import", or ADD it over FROM scratch',
  },
};

/**
 * Parses the name of an image with or without a transport. Of the reference behind `docker://` nothing is checked here.
 * Throws `E_UNSUPPORTED` for transports that cannot be read, `E_BAD_REFERENCE` where the path is missing.
 */
export function parseImageName(text: string): ImageName {
  const refused = REFUSED[/^([a-z-]+):/.exec(text)?.[1] ?? ''];
  if (refused) throw new BuildError('E_UNSUPPORTED', `Cannot use "${text}": ${refused.why}`, { hint: refused.hint });
  const transport = LOCAL.find((candidate) => text.startsWith(`${candidate}:`));
  if (transport === undefined) return { transport: 'docker', reference: referenceOf(text) };
  const { path, name } = splitPlace(transport, text.slice(transport.length + 1));
  if (path === '') {
    throw new BuildError('E_BAD_REFERENCE', `Cannot use "${text}": it names no path`, {
      hint: `Write ${transport}:PATH${transport === 'dir' ? '' : '[:NAME]'}`,
    });
  }
  return { transport, path, ...(name === undefined || name === '' ? {} : { name }) };
}

/** No reference has a word, a colon and a slash: what does is a transport that is misspelt, or a URL. */
function referenceOf(text: string): string {
  const reference = text.replace(/^docker:\/\//, '');
  const unknown = /^([a-z][a-z-]*):\//.exec(reference)?.[1];
  if (unknown === undefined) return reference;
  throw new BuildError('E_BAD_REFERENCE', `Cannot use "${text}": there is no transport "${unknown}"`, {
    hint: `There are ${USABLE}`,
  });
}

type Place = Pick<LocalImageName, 'path' | 'name'>;

/** `PATH[:NAME]`, or `PATH[:NAME]@DIGEST`, where the digest says it all. A directory of `dir:` has one image only. */
function splitPlace(transport: LocalImageName['transport'], rest: string): Place {
  if (transport === 'dir') return { path: rest };
  const at = rest.lastIndexOf('@');
  const digest = at < 0 ? undefined : rest.slice(at + 1);
  const isPinned = digest !== undefined && isDigest(digest);
  const named = isPinned ? rest.slice(0, at) : rest;
  const colon = named.indexOf(':');
  const path = colon < 0 ? named : named.slice(0, colon);
  if (isPinned) return { path, name: digest };
  return colon < 0 ? { path } : { path, name: named.slice(colon + 1) };
}

/** One text for all spellings of an image: references normalised, local ones as they stand. Throws `E_BAD_REFERENCE`. */
export function formatImageName(image: ImageName): string {
  if (image.transport === 'docker') return formatReference(parseReference(image.reference));
  return `${image.transport}:${image.path}${image.name === undefined ? '' : `:${image.name}`}`;
}
