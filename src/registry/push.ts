import { BuildError } from '../errors.ts';
import {
  type Descriptor,
  type Digest,
  formatReference,
  type Image,
  type ImageOrIndex,
  imagesOf,
  isForeignLayer,
  isImageIndex,
  oneChunk,
} from '../oci/index.ts';
import { pushScope } from './authenticator.ts';
import type { RegistryCall } from './host.ts';
import { forEachLimited } from './slots.ts';
import { checkStored, type Push, type PushedBlob, progressOf, pushBlob } from './upload.ts';

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
    blobs.set(descriptor.digest, { descriptor, open: () => oneChunk(rawConfig) });
  return [...blobs.values()];
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

/**
 * A registry takes a manifest only with all that it names: what it has by the very digest, it has whole. Whatever else it
 * says is no answer, and the push goes its way.
 */
async function isThere(
  push: Push,
  { descriptor }: ImageOrIndex,
  { reference, ...common }: Common & { readonly reference: string },
): Promise<boolean> {
  try {
    const response = await push.host.send({
      ...common,
      ...aboutManifest(push, reference),
      method: 'HEAD',
      action: `look for the manifest of "${formatReference(push.ref)}"`,
      headers: { accept: descriptor.mediaType },
      expected: [200, 404],
      isSmall: true,
      retry: 'once',
    });
    await response.discard();
    return response.status === 200 && response.header('docker-content-digest') === descriptor.digest;
  } catch (error) {
    if (!(error instanceof BuildError) || error.code === 'E_CANCELLED' || error.code === 'E_TLS') throw error;
    return false;
  }
}

/**
 * Layers and configs in parallel, then the manifest: whoever can see the name can fetch all of it. Of an index, the manifests
 * of the images that the registry does not have, then that of the index. Nothing is sent where the name stands for this very
 * content already.
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
  const reference = ref.tag ?? content.descriptor.digest;
  const blobs = blobsOf(imagesOf(content));
  const isNew = blobs.some(({ descriptor }) => push.host.hasSent(ref.repository, descriptor.digest));
  if (!isNew && (await isThere(push, content, { ...common, reference }))) {
    for (const { descriptor } of blobs) progressOf(push, descriptor).finish('exists');
    return content.descriptor;
  }
  const isKnown = isImageIndex(content)
    ? await Promise.all(
        content.images.map((image) => isThere(push, image, { ...common, reference: image.descriptor.digest })),
      )
    : [];
  const images = imagesOf(content).filter((_, position) => isKnown[position] !== true);
  await forEachLimited(blobsOf(images), { atOnce: UPLOADS_AT_ONCE, signal }, (blob, stop) =>
    pushBlob({ ...push, signal: stop, onWarning: common.onWarning }, blob),
  );
  if (isImageIndex(content)) {
    for (const image of images) await putManifest(push, image, { ...common, reference: image.descriptor.digest });
  }
  await putManifest(push, content, { ...common, reference });
  return content.descriptor;
}
