import { BuildError } from '../errors.ts';
import {
  type ByteStream,
  type Descriptor,
  type Digest,
  formatReference,
  type Image,
  isForeignLayer,
} from '../oci/index.ts';
import { pushScope } from './authenticator.ts';
import type { RegistryCall } from './host.ts';
import { forEachLimited } from './slots.ts';
import { checkStored, type Push, type PushedBlob, progressOf, pushBlob } from './upload.ts';

/** As many at once as containerd sends to one registry. */
const UPLOADS_AT_ONCE = 4;

/** Each digest once; layers that nobody may redistribute stay where they are (their manifest entry has URLs). */
function layerBlobs(image: Image): readonly PushedBlob[] {
  const blobs = new Map<Digest, PushedBlob>();
  for (const layer of image.layers) {
    const { descriptor } = layer;
    if (isForeignLayer(descriptor.mediaType) && (descriptor.urls?.length ?? 0) > 0) continue;
    blobs.set(descriptor.digest, { descriptor, open: (signal) => layer.compressed(signal) });
  }
  return [...blobs.values()];
}

async function* once(bytes: Uint8Array): ByteStream {
  yield bytes;
}

async function putManifest(push: Push, image: Image, common: Common): Promise<void> {
  const { host, ref, signal } = push;
  const { descriptor, rawManifest } = image;
  const response = await host.send({
    ...common,
    method: 'PUT',
    target: `/v2/${ref.repository}/manifests/${ref.tag ?? descriptor.digest}`,
    action: `write the manifest of "${formatReference(ref)}"`,
    access: { repository: ref.repository, scopes: [pushScope(ref.repository)] },
    headers: { 'content-type': descriptor.mediaType },
    body: rawManifest,
    expected: [200, 201, 202],
    signal,
  });
  checkStored(response, descriptor.digest, 'the manifest');
  await response.discard();
}

type Common = Pick<RegistryCall, 'onRetry' | 'onWarning'>;

/**
 * The name stands for this very image already: a registry takes a manifest only with all that it names. Whatever else the
 * registry says is no answer, and the push goes its way.
 */
async function isThere({ host, ref, signal }: Push, { descriptor }: Image, common: Common): Promise<boolean> {
  try {
    const response = await host.send({
      ...common,
      method: 'HEAD',
      target: `/v2/${ref.repository}/manifests/${ref.tag ?? descriptor.digest}`,
      action: `look for the manifest of "${formatReference(ref)}"`,
      access: { repository: ref.repository, scopes: [pushScope(ref.repository)] },
      headers: { accept: descriptor.mediaType },
      expected: [200, 404],
      isSmall: true,
      retry: 'once',
      signal,
    });
    await response.discard();
    return response.status === 200 && response.header('docker-content-digest') === descriptor.digest;
  } catch (error) {
    if (!(error instanceof BuildError) || error.code === 'E_CANCELLED' || error.code === 'E_TLS') throw error;
    return false;
  }
}

/** Layers and config in parallel, then the manifest: whoever can see the name can fetch all of it. */
export async function pushImage(image: Image, push: Push): Promise<Descriptor> {
  const { ref, emit, signal } = push;
  if (ref.digest !== undefined && ref.digest !== image.descriptor.digest) {
    throw new BuildError(
      'E_USAGE',
      `Cannot push as "${formatReference(ref)}": the image is ${image.descriptor.digest}`,
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
  const config = { descriptor: image.configDescriptor, open: () => once(image.rawConfig) };
  const blobs = [...layerBlobs(image), config];
  const isNew = blobs.some(({ descriptor }) => push.host.hasSent(ref.repository, descriptor.digest));
  if (!isNew && (await isThere(push, image, common))) {
    for (const { descriptor } of blobs) progressOf(push, descriptor).finish('exists');
    return image.descriptor;
  }
  await forEachLimited(blobs, { atOnce: UPLOADS_AT_ONCE, signal }, (blob, stop) =>
    pushBlob({ ...push, signal: stop, onWarning: common.onWarning }, blob),
  );
  await putManifest(push, image, common);
  return image.descriptor;
}
