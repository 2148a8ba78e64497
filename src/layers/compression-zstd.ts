import * as zlib from 'node:zlib';
import type { ByteStream } from '../oci/index.ts';
import { type BlockSizes, blocksOf } from './blocks.ts';
import { type PackJob, type PackOptions, packInOrder } from './pack-in-order.ts';

/** About 4 MiB. Part of the format of our layers: other sizes give other bytes. Smaller ones lose: a frame knows nothing of those before it. */
const SIZES: BlockSizes = { least: 2 * 1024 * 1024, most: 8 * 1024 * 1024, oneRecordIn: 4096 };
/** zstd's own default. */
const LEVEL = 3;

/** Tells apart who compresses. */
interface Compressor {
  readonly name: string;
  compress(bytes: Uint8Array): Promise<Uint8Array>;
}

/**
 * Frames of about 4 MiB (RFC 8878, section 3.1: frames that follow one another are decompressed as one), on all cores where Node has
 * zstd (from 22.15), else by WebAssembly. Equal bytes give equal output for any concurrency and any chunking.
 */
export async function* zstd(bytes: ByteStream, options: PackOptions = {}): ByteStream {
  const { name, compress } = native() ?? (await webAssembly());
  async function* jobs(): AsyncGenerator<PackJob> {
    for await (const { block, free } of blocksOf(bytes, SIZES))
      yield { inputs: [`zstd ${LEVEL} ${name}`, block], pack: () => compress(block), free };
  }
  yield* packInOrder(jobs(), options);
}

interface NodeZstd {
  /** The types are those of Node 20. */
  readonly zstdCompress?: (
    bytes: Uint8Array,
    options: object,
    done: (error: Error | null, frame: Buffer) => void,
  ) => void;
  readonly constants: { readonly ZSTD_c_compressionLevel?: number };
}

function native(): Compressor | undefined {
  const { zstdCompress, constants } = zlib as NodeZstd;
  const level = constants.ZSTD_c_compressionLevel;
  if (!zstdCompress || level === undefined) return undefined;
  const options = { params: { [level]: LEVEL } };
  return {
    name: `node ${process.versions.zstd}`,
    compress: (bytes) =>
      new Promise((resolve, reject) => {
        zstdCompress(bytes, options, (error, frame) => (error ? reject(error) : resolve(frame)));
      }),
  };
}

/** One instance in all: a second `init` takes the memory away from those who are at work. */
let loading: Promise<Compressor> | undefined;

function webAssembly(): Promise<Compressor> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Compressor> {
  const { init, compress } = await import('@bokuweb/zstd-wasm');
  await init();
  return { name: 'wasm', compress: async (bytes) => compress(bytes, LEVEL) };
}
