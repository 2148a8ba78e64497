import { BuildError } from '../errors.ts';
import {
  type ByteStream,
  type Descriptor,
  type Digest,
  formatReference,
  type Image,
  type ImageOrIndex,
  imagesOf,
  isForeignLayer,
  isImageIndex,
} from '../oci/index.ts';
import { pushScope } from './authenticator.ts';
import type { RegistryCall } from './host.ts';
import { forEachLimited } from './slots.ts';
import { checkStored, type Push, type PushedBlob, pushBlob } from './upload.ts';

/** As many at once as containerd sends to one registry. */
const UPLOADS_AT_ONCE = 4;

/** Each digest once; layers that nobody may redistribute stay where they are (their manifest entry has URLs). */
function blobsOf(images: readonly Image[]): readonly PushedBlob[] {
  const blobs = new Map<Digest, PushedBlob>();
  for (const layer of images.flatMap(({ layers }) => layers)) {
    const { descriptor } = layer;
    if (isForeignLayer(descriptor.mediaType) && (descriptor.urls?.length ?? 0) > 0) continue;
    blobs.set(descriptor.digest, { descriptor, open: (signal) => layer.compressed(signal) });
  }
  for (const { configDescriptor: descriptor, rawConfig } of images)
    blobs.set(descriptor.digest, { descriptor, open: () => once(rawConfig) });
  return [...blobs.values()];
}

async function* once(bytes: Uint8Array): ByteStream {
  yield bytes;
}

type Common = Pick<RegistryCall, 'onRetry' | 'onWarning'>;

const aboutManifest = ({ host: _, ref, signal }: Push, reference: string) => ({
  target: `/v2/${ref.repository}/manifests/${reference}`,
  access: { repository: ref.repository, scopes: [pushScope(ref.repository)] },
  signal,
});

async function putManifest(
  push: Push,
  { descriptor, rawManifest }: ImageOrIndex,
  { reference, ...common }: Common & { readonly reference: string },
): Promise<void> {
  const response = await push.host.send({
    ...common,
    ...aboutManifest(push, reference),
    method: 'PUT',
    action: `write the manifest of "${formatReference(push.ref)}"`,
    headers: { 'content-type': descriptor.mediaType },
    body: rawManifest,
    expected: [200, 201, 202],
  });
  checkStored(response, descriptor.digest, 'the manifest');
  await response.discard();
}

/** What a registry has the manifest of, it has whole. */
async function hasManifest(push: Push, { descriptor }: Image, common: Common): Promise<boolean> {
  const response = await push.host.send({
    ...common,
    ...aboutManifest(push, descriptor.digest),
    method: 'HEAD',
    action: `look for a manifest of "${formatReference(push.ref)}"`,
    headers: { accept: descriptor.mediaType },
    expected: [200, 404],
  });
  await response.discard();
  return response.status === 200;
}

/**
 * Layers and configs in parallel, then the manifest: whoever can see the name can fetch all of it. Of an index, the manifests
 * of the images that the registry does not have, then that of the index.
 */
export async function pushImage(content: ImageOrIndex, push: Push): Promise<Descriptor> {
  const { ref, emit, signal } = push;
  if (ref.digest !== undefined && ref.digest !== content.descriptor.digest) {
    throw new BuildError(
      'E_USAGE',
      `Cannot push as "${formatReference(ref)}": the image is ${content.descriptor.digest}`,
      {
        hint: 'Push to a tag, or leave the digest out',
      },
    );
  }
  const warned = new Set<string>();
  const common = {
    onRetry: (note: string) => emit?.({ type: 'info', message: note }),
    onWarning(text: string) {
      if (!warned.has(text)) emit?.({ type: 'warning', message: `"${ref.registry}" says: ${text}` });
      warned.add(text);
    },
  };
  const isKnown = isImageIndex(content)
    ? await Promise.all(content.images.map((image) => hasManifest(push, image, common)))
    : [];
  const images = imagesOf(content).filter((_, position) => isKnown[position] !== true);
  await forEachLimited(blobsOf(images), { atOnce: UPLOADS_AT_ONCE, signal }, (blob, stop) =>
    pushBlob({ ...push, signal: stop, onWarning: common.onWarning }, blob),
  );
  if (isImageIndex(content)) {
    for (const image of images) await putManifest(push, image, { ...common, reference: image.descriptor.digest });
  }
  await putManifest(push, content, { ...common, reference: ref.tag ?? content.descriptor.digest });
  return content.descriptor;
}
