import { type Digest, imagesOf, parseReference } from './oci/index.ts';
import type { DistributionSources } from './registry/index.ts';
import type { Store } from './store/index.ts';

/**
 * Repositories that may hold a blob already: where it was left, and by the names of the images in the store: what was pulled from a registry, or
 * named for it, can be mounted there from one repository into another. A wrong guess costs one request.
 */
export function distributionSources({ images, blobs }: Store): DistributionSources {
  const byRegistry = new Map<string, Promise<ReadonlyMap<Digest, readonly string[]>>>();
  const collect = async (registry: string): Promise<ReadonlyMap<Digest, readonly string[]>> => {
    const found = new Map<Digest, string[]>();
    for (const { name } of await images.tags()) {
      const ref = parseReference(name);
      if (ref.registry !== registry) continue;
      const content = await images.findContent(name).catch(() => undefined); // a damaged image is no source
      for (const { descriptor } of content ? imagesOf(content).flatMap(({ layers }) => layers) : []) {
        const known = found.get(descriptor.digest) ?? [];
        if (!known.includes(ref.repository)) found.set(descriptor.digest, [...known, ref.repository]);
      }
    }
    return found;
  };
  return async (registry, digest) => {
    const known = byRegistry.get(registry) ?? collect(registry);
    byRegistry.set(registry, known);
    const origins = (await blobs.origins(digest)).filter((origin) => origin.registry === registry);
    return [...new Set([...origins.map(({ repository }) => repository), ...((await known).get(digest) ?? [])])];
  };
}
