import { createReadStream } from 'node:fs';
import { BuildError } from '../errors.ts';
import { type ByteStream, type ContentStore, type DiffId, type LayerPatch, verifyDiffId } from '../oci/index.ts';

const READ_BYTES = 1024 * 1024;

/** Whether both of its blobs are here. Marks them as used now. */
export async function hasPatch({ base, pieces }: LayerPatch, store: ContentStore): Promise<boolean> {
  const both = await Promise.all([base, pieces].map(({ digest }) => store.has(digest)));
  return !both.includes(false);
}

/** The layer's tar. A damaged blob is found, and put away, where what came out was wrong. Throws `E_CORRUPT_STORE`. */
export async function* openPatch(diffId: DiffId, patch: LayerPatch, store: ContentStore): ByteStream {
  try {
    yield* verifyDiffId(joined(patch, store), diffId);
  } catch (error) {
    if (!(error instanceof BuildError && error.code === 'E_DIGEST_MISMATCH')) throw error;
    for (const blob of [patch.base, patch.pieces]) for await (const _ of store.open(blob));
    throw error;
  }
}

async function* joined({ base, pieces, parts }: LayerPatch, store: ContentStore): ByteStream {
  const paths = { base: await fileOf(base), pieces: await fileOf(pieces) };
  for (const [of, start, length] of parts)
    if (length > 0) yield* createReadStream(paths[of], { start, end: start + length - 1, highWaterMark: READ_BYTES });

  async function fileOf({ digest }: LayerPatch['base']): Promise<string> {
    const path = await store.fileOf?.(digest);
    if (path !== undefined) return path;
    throw new BuildError('E_CORRUPT_STORE', `Missing blob ${digest} in the store`, {
      hint: 'Build the image again',
    });
  }
}
