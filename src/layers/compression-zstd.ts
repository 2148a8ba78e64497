import { availableParallelism } from 'node:os';
import * as zlib from 'node:zlib';
import type { ByteStream } from '../oci/index.ts';
import { blocksOf } from './blocks.ts';

export interface ZstdOptions {
  /** Frames at work at once, where Node has zstd; has no influence on the bytes. Default: one a core. */
  readonly concurrency?: number;
}

/** Part of the format of our layers: another size gives other bytes. Smaller ones lose: a frame knows nothing of those before it. */
const BLOCK_BYTES = 4 * 1024 * 1024;
/** zstd's own default. */
const LEVEL = 3;

type CompressFrame = (bytes: Uint8Array) => Promise<Uint8Array>;

/**
 * Frames of 4 MiB (RFC 8878, section 3.1: frames that follow one another are decompressed as one), on all cores where Node has
 * zstd (from 22.15), else by WebAssembly. Equal bytes give equal output for any concurrency and any chunking.
 */
export async function* zstd(bytes: ByteStream, { concurrency = availableParallelism() }: ZstdOptions = {}): ByteStream {
  const compressFrame = native() ?? (await webAssembly());
  const pending: Promise<Uint8Array>[] = [];
  for await (const { block } of blocksOf(bytes, BLOCK_BYTES)) {
    const frame = compressFrame(block);
    // Whoever leaves early leaves these unawaited.
    frame.catch(() => undefined);
    pending.push(frame);
    if (pending.length >= concurrency) yield (await pending.shift()) ?? new Uint8Array();
  }
  for (const frame of pending) yield await frame;
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

function native(): CompressFrame | undefined {
  const { zstdCompress, constants } = zlib as NodeZstd;
  const level = constants.ZSTD_c_compressionLevel;
  if (!zstdCompress || level === undefined) return undefined;
  const options = { params: { [level]: LEVEL } };
  return (bytes) =>
    new Promise((resolve, reject) => {
      zstdCompress(bytes, options, (error, frame) => (error ? reject(error) : resolve(frame)));
    });
}

/** One instance in all: a second `init` takes the memory away from those who are at work. */
let loading: Promise<CompressFrame> | undefined;

function webAssembly(): Promise<CompressFrame> {
  loading ??= load();
  return loading;
}

async function load(): Promise<CompressFrame> {
  const { init, compress } = await import('@bokuweb/zstd-wasm');
  await init();
  return async (bytes) => compress(bytes, LEVEL);
}
