import { pipeline, Readable, type Transform } from 'node:stream';
import type { ReadableStreamDefaultController } from 'node:stream/web';
import * as zlib from 'node:zlib';
import { BuildError } from '../errors.ts';
import type { ByteStream } from '../oci/index.ts';
import { bunzip } from './compression-bzip2.ts';
import { gunzipHere } from './gunzip.ts';

/** What can be read. Layers are `none`, `gzip` or `zstd`; the others are for archives that ADD unpacks. */
export type CompressionKind = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

const MAGICS: readonly (readonly [CompressionKind, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

/** Of zlib's chunks. Its own 16 KiB are as many trips through the thread pool and all that comes after. */
const OUTPUT_BYTES = 256 * 1024;

/** Bytes that `detectCompression` looks at. */
export const MAGIC_BYTES = 6;

/** By the first bytes alone, never by a name or media type. */
export function detectCompression(firstBytes: Uint8Array): CompressionKind {
  const found = MAGICS.find(([, magic]) => magic.every((byte, index) => firstBytes[index] === byte));
  return found?.[0] ?? 'none';
}

/**
 * The bytes before compression; members (gzip, bzip2, xz) and frames (zstd) that follow one another are joined. Memory is
 * bounded, output is not: the consumer guards against bombs. Damaged or cut off: throws `E_BAD_LAYER`.
 */
export const decompress = (bytes: ByteStream, kind: CompressionKind): ByteStream =>
  explained(decompressor(bytes, kind), kind);

/** The same rather in the calling thread than in the thread pool: what it gives is good until the next piece is asked for. */
export const decompressHere = (bytes: ByteStream, kind: CompressionKind): ByteStream =>
  explained((kind === 'gzip' && gunzipHere(bytes)) || decompressor(bytes, kind), kind);

async function* explained(decompressed: ByteStream, kind: CompressionKind): ByteStream {
  try {
    yield* decompressed;
  } catch (cause) {
    if (cause instanceof BuildError || !isCodecError(cause)) throw cause;
    throw new BuildError('E_BAD_LAYER', `Cannot decompress ${kind} data: it is damaged or cut off`, {
      hint: 'Fetch the file again or make it anew',
      cause,
    });
  }
}

/** Marks what a codec threw, so that errors of the source keep their own meaning. */
class CodecError extends Error {}

/** zlib's errors have an `errno` and a code that begins with Z_ or ZSTD_. */
const isCodecError = (error: unknown): boolean =>
  error instanceof CodecError ||
  (error instanceof Error && 'code' in error && /^(?:Z_|ZSTD_|ERR_ZSTD_|ERR_PADDING)/.test(String(error.code)));

function decompressor(bytes: ByteStream, kind: CompressionKind): ByteStream {
  switch (kind) {
    case 'none':
      return bytes;
    case 'gzip':
      return through(bytes, zlib.createGunzip({ chunkSize: OUTPUT_BYTES }));
    case 'zstd':
      return unzstd(bytes);
    case 'bzip2':
      return bunzip(bytes);
    case 'xz':
      return unxz(bytes);
    default:
      return kind satisfies never;
  }
}

async function* through(bytes: ByteStream, transform: Transform): ByteStream {
  // The iteration below reports every error; leaving it early destroys both ends.
  pipeline(Readable.from(bytes, { objectMode: false }), transform, () => undefined);
  yield* transform as AsyncIterable<Uint8Array>; // a zlib stream gives buffers
}

/** Present from Node 22.15; the types are those of Node 20. */
type MaybeZstd = { readonly createZstdDecompress?: (options: { readonly chunkSize: number }) => Transform };

async function* unzstd(bytes: ByteStream): ByteStream {
  const create = (zlib as MaybeZstd).createZstdDecompress;
  if (create) yield* through(bytes, create({ chunkSize: OUTPUT_BYTES }));
  else yield* unzstdInScript(bytes);
}

/** A block of 4 bytes can become 128 KiB, and a push gives all of its output at once. */
const ZSTD_PUSH_BYTES = 1024;

async function* unzstdInScript(bytes: ByteStream): ByteStream {
  const { Decompress } = await import('fzstd');
  let output: Uint8Array[] = [];
  const decoder = new Decompress((chunk) => void output.push(chunk));
  const push = (input: Uint8Array, isLast: boolean): readonly Uint8Array[] => {
    output = [];
    codec(() => decoder.push(input, isLast));
    return output;
  };
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.byteLength; at += ZSTD_PUSH_BYTES) {
      yield* push(chunk.subarray(at, at + ZSTD_PUSH_BYTES), false);
    }
  }
  yield* push(new Uint8Array(0), true);
}

function codec<T>(run: () => T): T {
  try {
    return run();
  } catch (cause) {
    throw new CodecError('The codec refused the data', { cause });
  }
}

async function* unxz(bytes: ByteStream): ByteStream {
  // both are loaded for this format only: web streams alone cost 10 ms
  const [{ default: xz }, { ReadableStream }] = await Promise.all([import('xz-decompress'), import('node:stream/web')]);
  const source = bytes[Symbol.asyncIterator]();
  let sourceError: unknown;
  const input = new ReadableStream<Uint8Array>({
    async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      try {
        const { done, value } = await source.next();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        sourceError = error;
        throw error;
      }
    },
    async cancel() {
      await source.return?.();
    },
  });
  try {
    yield* new xz.XzReadableStream(input);
  } catch (cause) {
    await source.return?.();
    throw sourceError ?? new CodecError('The codec refused the data', { cause });
  }
}
