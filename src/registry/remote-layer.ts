import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { BuildError } from '../errors.ts';
import {
  type ByteStream,
  type Compression,
  type Descriptor,
  type DiffId,
  type Layer,
  layerCompression,
  verifyDiffId,
} from '../oci/index.ts';
import { type BlobSource, download } from './download.ts';

/** How to take a compressed stream apart; only zstd needs one to be given in. */
export type Decompress = (bytes: ByteStream, compression: 'gzip' | 'zstd', signal?: AbortSignal) => ByteStream;

async function* gunzip(bytes: ByteStream): ByteStream {
  const output = pipeline(Readable.from(bytes), createGunzip(), () => undefined);
  try {
    yield* output;
  } catch (cause) {
    if (cause instanceof BuildError) throw cause;
    throw new BuildError('E_BAD_LAYER', 'Cannot decompress a layer: damaged gzip data', { cause });
  }
}

const withoutZstd: Decompress = (bytes, compression) => {
  if (compression === 'gzip') return gunzip(bytes);
  throw new BuildError('E_UNSUPPORTED', 'Cannot decompress a zstd layer here', {
    hint: 'Give a "decompress" function to the registry client',
  });
};

export interface RemoteLayer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
  readonly decompress: Decompress | undefined;
}

/** A layer that stays where it is until somebody reads it. Throws `E_BAD_MANIFEST` for what is not a layer. */
export function remoteLayer(source: BlobSource, { descriptor, diffId, decompress }: RemoteLayer): Layer {
  const compression: Compression | undefined = layerCompression(descriptor.mediaType);
  if (compression === undefined) {
    throw new BuildError('E_BAD_MANIFEST', `Unknown layer type "${descriptor.mediaType.slice(0, 100)}"`, {
      hint: 'It may be an artifact and not a container image',
    });
  }
  const compressed = (signal?: AbortSignal): ByteStream => download(source, descriptor, signal);
  return {
    descriptor,
    diffId,
    compressed,
    uncompressed(signal) {
      if (compression === 'none') return verifyDiffId(compressed(signal), diffId);
      return verifyDiffId((decompress ?? withoutZstd)(compressed(signal), compression, signal), diffId);
    },
  };
}
