import {
  asDigest,
  type ByteStream,
  type ContentStore,
  type Layer,
  type LayerIndex,
  type LayerSource,
  OCI_LAYER,
  verifyDiffId,
} from '../oci/index.ts';
import type { Decompress } from './image-reader.ts';

/** Layers as far as blobs hold them: the tar itself, or a compressed form whose tar size is known. */
export function blobLayers(
  { blobs, layerIndex }: { readonly blobs: ContentStore; readonly layerIndex: LayerIndex },
  decompress: Decompress,
): LayerSource {
  return {
    async find(diffId): Promise<Layer | undefined> {
      const record = await layerIndex.get(diffId);
      const size = record?.tarSize;
      if (!record || size === undefined) return undefined;
      for (const { digest, size: stored, compression } of record.blobs) {
        if (!(await blobs.has(digest))) continue;
        const tar = (): ByteStream => {
          const bytes = blobs.open({ digest, size: stored });
          // the store verifies what it gives
          if (digest === asDigest(diffId)) return bytes;
          return verifyDiffId(compression === 'none' ? bytes : decompress(bytes, compression), diffId);
        };
        const descriptor = { mediaType: OCI_LAYER, digest: asDigest(diffId), size };
        return { descriptor, diffId, compressed: tar, uncompressed: tar };
      }
      return undefined;
    },
  };
}
