import { BuildError } from '../errors.ts';
import {
  ACCEPTED_MANIFESTS,
  choosePlatform,
  type Descriptor,
  type Digest,
  digestMismatch,
  digestOf,
  formatPlatform,
  formatReference,
  type Image,
  type Index,
  isDigest,
  isIndexDocument,
  MAX_JSON_BYTES,
  type Manifest,
  type Platform,
  parseConfig,
  parseManifest,
  type Reference,
  readAll,
  type TransferOptions,
} from '../oci/index.ts';
import { type Access, pullScope } from './authenticator.ts';
import type { Host } from './host.ts';
import { type Decompress, remoteLayer } from './remote-layer.ts';

export interface Resolution extends TransferOptions {
  readonly host: Host;
  readonly ref: Reference;
  readonly platform: Platform;
  readonly decompress: Decompress | undefined;
}

interface Document {
  readonly raw: Uint8Array;
  readonly digest: Digest;
  readonly parsed: Manifest | Index;
}

/** An index may point to an index (image-spec image-index.md); deeper nesting is nobody's. */
const MAX_NESTING = 4;

const accessOf = ({ ref }: Resolution): Access => ({
  repository: ref.repository,
  scopes: [pullScope(ref.repository)],
});

async function fetchJson(
  job: Resolution,
  target: string,
  action: string,
): Promise<{ raw: Uint8Array; type?: string; digest?: string }> {
  const { host, ref, emit, signal } = job;
  const response = await host.send({
    method: 'GET',
    target: `/v2/${ref.repository}/${target}`,
    action,
    access: accessOf(job),
    headers: target.startsWith('manifests/') ? { accept: ACCEPTED_MANIFESTS.join(', ') } : {},
    expected: [200],
    isSmall: true,
    readUpTo: MAX_JSON_BYTES,
    signal,
    onRetry: (note) => emit?.({ type: 'info', message: note }),
    onWarning: (message) => emit?.({ type: 'warning', message: `"${ref.registry}" says: ${message}` }),
  });
  const raw = await readAll(response.body, MAX_JSON_BYTES);
  const type = response.header('content-type')?.split(';')[0]?.trim();
  const digest = response.header('docker-content-digest');
  return { raw, ...(type === undefined ? {} : { type }), ...(digest === undefined ? {} : { digest }) };
}

async function fetchManifest(job: Resolution, reference: string): Promise<Document> {
  const name = formatReference(job.ref);
  const {
    raw,
    type,
    digest: claimed,
  } = await fetchJson(job, `manifests/${reference}`, `read the manifest of "${name}"`);
  const digest = digestOf(raw);
  if (isDigest(reference) && digest !== reference) throw digestMismatch(`the manifest of "${name}"`, reference, digest);
  if (claimed !== undefined && isDigest(claimed) && claimed !== digest) {
    throw digestMismatch(`the manifest of "${name}"`, claimed, digest);
  }
  return { raw, digest, parsed: parseManifest(raw, type) };
}

function noPlatform(job: Resolution, index: Index): BuildError {
  const all = index.manifests.flatMap(({ platform }) =>
    platform && platform.os !== 'unknown' ? [formatPlatform(platform)] : [],
  );
  const there = [...new Set(all)].slice(0, 30).join(', ') || 'no platform at all';
  return new BuildError(
    'E_NO_PLATFORM',
    `"${formatReference(job.ref)}" has no image for ${formatPlatform(job.platform)}`,
    { hint: `Choose another with --platform; there is: ${there}`, fields: { wanted: formatPlatform(job.platform) } },
  );
}

async function fetchImageManifest(job: Resolution): Promise<Document & { readonly parsed: Manifest }> {
  let reference: string = job.ref.digest ?? job.ref.tag ?? 'latest';
  for (let level = 0; level < MAX_NESTING; level++) {
    const document = await fetchManifest(job, reference);
    const { parsed } = document;
    if (!isIndexDocument(parsed)) return { ...document, parsed };
    const chosen = choosePlatform(parsed.manifests, job.platform);
    if (chosen === undefined) throw noPlatform(job, parsed);
    reference = chosen.digest;
  }
  throw new BuildError('E_BAD_MANIFEST', `The index of "${formatReference(job.ref)}" is nested too deeply`);
}

async function fetchConfig(job: Resolution, descriptor: Descriptor): Promise<Uint8Array> {
  const name = formatReference(job.ref);
  if (descriptor.size > MAX_JSON_BYTES) {
    throw new BuildError('E_BAD_MANIFEST', `The config of "${name}" is longer than ${MAX_JSON_BYTES} bytes`);
  }
  const { raw } = await fetchJson(job, `blobs/${descriptor.digest}`, `read the config of "${name}"`);
  const digest = digestOf(raw);
  if (digest !== descriptor.digest) throw digestMismatch(`the config of "${name}"`, descriptor.digest, digest);
  return raw;
}

/** Manifest and config of the image for the platform; layers stay remote. */
export async function resolveImage(job: Resolution): Promise<Image> {
  const { host, ref, emit, decompress } = job;
  const name = formatReference(ref);
  const { raw, digest, parsed } = await fetchImageManifest(job);
  const rawConfig = await fetchConfig(job, parsed.config);
  const config = parseConfig(rawConfig);
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== parsed.layers.length) {
    throw new BuildError(
      'E_BAD_MANIFEST',
      `"${name}" has ${parsed.layers.length} layers, but its config ${diffIds.length}`,
      {
        hint: 'It may be an artifact and not a container image',
      },
    );
  }
  const source = { host, repository: ref.repository, emit };
  return {
    descriptor: { mediaType: parsed.mediaType, digest, size: raw.byteLength },
    rawManifest: raw,
    rawConfig,
    configDescriptor: parsed.config,
    config,
    layers: diffIds.flatMap((diffId, i) => {
      const descriptor = parsed.layers[i];
      return descriptor === undefined ? [] : [remoteLayer(source, { descriptor, diffId, decompress })];
    }),
  };
}
