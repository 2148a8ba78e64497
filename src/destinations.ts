import { resolve } from 'node:path';
import type { RegistryAccess, SessionOptions } from './api.ts';
import type { Workspace } from './assembly.ts';
import { BuildError } from './errors.ts';
import { decompress } from './layers/index.ts';
import { type ImageSink, parseLocalName, parseReference, type Reference } from './oci/index.ts';
import { DockerArchiveSink, OciArchiveSink, OciLayout } from './store/index.ts';

/** Where `push` writes to, as containers-transports(5) spells it. */
export type Destination =
  | { readonly kind: 'registry'; readonly text: string; readonly ref: Reference }
  | {
      readonly kind: 'oci' | 'oci-archive' | 'docker-archive';
      readonly text: string;
      readonly path: string;
      /** After the colon; names the image inside. */
      readonly name?: string;
      /** The image's own name. */
      readonly ref: Reference;
    };

const FILE_KINDS = ['oci-archive', 'docker-archive', 'oci'] as const;
/** Transports of skopeo and podman that we do not have. */
const OTHERS = /^(containers-storage|docker-daemon|dir|ostree|sif|tarball|docker-reference):/;

/** Throws `E_USAGE`, `E_BAD_REFERENCE`. `image` is what the user called the image. */
export function parseDestination(text: string, image: string): Destination {
  const kind = FILE_KINDS.find((candidate) => text.startsWith(`${candidate}:`));
  if (kind !== undefined) {
    const rest = text.slice(kind.length + 1);
    const colon = rest.indexOf(':');
    const path = colon < 0 ? rest : rest.slice(0, colon);
    if (path === '') {
      throw new BuildError('E_USAGE', `Cannot push to "${text}": no path`, { hint: `Write ${kind}:PATH[:NAME]` });
    }
    const name = colon < 0 ? {} : { name: rest.slice(colon + 1) };
    return { kind, text, path: resolve(path), ...name, ref: nameOf(image) };
  }
  if (OTHERS.test(text)) {
    throw new BuildError('E_USAGE', `Cannot push to "${text}": this transport is not built yet`, {
      hint: 'There are docker://NAME, oci:DIR[:NAME], oci-archive:FILE[:NAME] and docker-archive:FILE[:NAME]',
    });
  }
  const ref = parseReference(text.replace(/^docker:\/\//, ''));
  if (ref.registry === 'localhost' && !text.includes(':')) return { kind: 'registry', text, ref };
  return { kind: 'registry', text: text.replace(/^docker:\/\//, ''), ref };
}

/** An image that was found by its ID has no name: it gets one that says so. */
function nameOf(image: string): Reference {
  return /^(sha256:)?[0-9a-f]{12,64}$/.test(image) ? parseReference('localhost/image:latest') : parseLocalName(image);
}

export function sinkFor(
  destination: Destination,
  { workspace, session }: { readonly workspace: Workspace; readonly session: SessionOptions & RegistryAccess },
): ImageSink {
  switch (destination.kind) {
    case 'registry':
      return workspace.registry(session);
    case 'oci':
      return new OciLayout({ directory: destination.path, name: destination.name, decompress });
    case 'oci-archive':
      return new OciArchiveSink(destination.path, destination.name);
    case 'docker-archive':
      return new DockerArchiveSink(destination.path, destination.name);
    default:
      throw destination satisfies never;
  }
}
