import { BuildError } from '../errors.ts';
import type { ByteStream } from '../oci/index.ts';
import { decompress, detectCompression, MAGIC_BYTES } from './compression.ts';
import { isTarHeader, TAR_BLOCK } from './tar/index.ts';

/**
 * The tar inside a file, for ADD: plain or in gzip, zstd, bzip2 or xz. undefined: not an archive, copy the file as it is.
 * Only content counts, as in BuildKit and buildah: an empty `x.tar.gz` or a compressed text is a file, a tar named
 * `x.txt` an archive. `open` is called up to three times and must give the same bytes each time. Errors of `open` pass
 * through; damage after the first header shows while the tar is read (`E_BAD_LAYER`).
 */
export async function openIfArchive(open: () => ByteStream): Promise<ByteStream | undefined> {
  const kind = detectCompression(await firstBytes(open(), MAGIC_BYTES));
  const header = await firstBlock(decompress(open(), kind));
  return header !== undefined && isTarHeader(header) ? decompress(open(), kind) : undefined;
}

/** undefined: what looked compressed is not. */
async function firstBlock(tar: ByteStream): Promise<Buffer | undefined> {
  try {
    return await firstBytes(tar, TAR_BLOCK);
  } catch (error) {
    if (error instanceof BuildError && error.code === 'E_BAD_LAYER') return undefined;
    throw error;
  }
}

/** At most `size` bytes; the rest is not read. */
async function firstBytes(bytes: ByteStream, size: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of bytes) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length >= size) break;
  }
  return Buffer.concat(chunks).subarray(0, size);
}
