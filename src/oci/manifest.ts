import { BuildError } from '../errors.ts';
import { canonicalJson, type Json } from './canonical-json.ts';
import { MAX_JSON_BYTES } from './config.ts';
import type { Descriptor } from './descriptor.ts';
import { isDigest } from './digest.ts';
import { DOCKER_LIST, DOCKER_MANIFEST, isIndex, isManifest, OCI_INDEX, OCI_MANIFEST } from './media-types.ts';

/** OCI manifest.md; Docker schema 2 has the same members. */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** OCI image-index.md; Docker manifest list. */
export interface Index {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

const bad = (why: string, cause?: unknown): BuildError =>
  new BuildError('E_BAD_MANIFEST', `Cannot read the manifest: ${why}`, { cause });

function checkDescriptor(value: unknown, what: string): void {
  const d = value as Partial<Descriptor> | null;
  if (typeof d !== 'object' || d === null || typeof d.mediaType !== 'string' || typeof d.digest !== 'string') {
    throw bad(`${what} is not a descriptor`);
  }
  if (!isDigest(d.digest)) throw bad(`${what} has the unsupported digest "${String(d.digest).slice(0, 100)}"`);
  if (!Number.isSafeInteger(d.size) || (d.size ?? -1) < 0) throw bad(`${what} has no valid size`);
  const urls: unknown = d.urls ?? [];
  if (!Array.isArray(urls) || urls.some((url) => typeof url !== 'string')) throw bad(`${what} has invalid "urls"`);
  const { os, architecture, variant } = d.platform ?? { os: '', architecture: '' };
  if (typeof os !== 'string' || typeof architecture !== 'string' || typeof (variant ?? '') !== 'string') {
    throw bad(`${what} has an invalid platform`);
  }
}

function parseObject(raw: Uint8Array): Record<string, unknown> {
  if (raw.byteLength > MAX_JSON_BYTES) throw bad(`longer than ${MAX_JSON_BYTES} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(raw).toString('utf8'));
  } catch (cause) {
    throw bad('not JSON', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad('not an object');
  return value as Record<string, unknown>;
}

/**
 * Parses manifest or index bytes. The media type is the document's own, else `contentType`, else told by its members.
 * A document that says two kinds at once is refused (CVE-2021-41190). Throws `E_BAD_MANIFEST`.
 */
export function parseManifest(raw: Uint8Array, contentType?: string): Manifest | Index {
  const value = parseObject(raw);
  const hasLayers = Array.isArray(value.layers);
  const hasManifests = Array.isArray(value.manifests);
  if (hasLayers && hasManifests) throw bad('it is a manifest and an index at once');
  if (value.schemaVersion === 1) throw bad('schema 1 manifests are not supported');
  const declared = typeof value.mediaType === 'string' ? value.mediaType : contentType;
  const known = declared !== undefined && (isIndex(declared) || isManifest(declared));
  const mediaType = known ? declared : hasManifests ? OCI_INDEX : OCI_MANIFEST;
  if (isIndex(mediaType)) {
    if (!hasManifests) throw bad('an index without "manifests"');
    for (const d of value.manifests as unknown[]) checkDescriptor(d, 'an entry of "manifests"');
    return { ...(value as unknown as Index), schemaVersion: 2, mediaType };
  }
  if (!hasLayers) throw bad('a manifest without "layers"');
  checkDescriptor(value.config, '"config"');
  for (const d of value.layers as unknown[]) checkDescriptor(d, 'an entry of "layers"');
  return { ...(value as unknown as Manifest), schemaVersion: 2, mediaType };
}

export const isIndexDocument = (document: Manifest | Index): document is Index => 'manifests' in document;

/** What a client accepts when it asks for a tag. */
export const ACCEPTED_MANIFESTS: readonly string[] = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST];

/** The bytes of a manifest or index that we author. */
export const encodeManifest = (document: Manifest | Index): Uint8Array =>
  Buffer.from(canonicalJson(document as unknown as Json));
