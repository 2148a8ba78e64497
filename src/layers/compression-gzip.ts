import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import type { ByteStream } from '../oci/index.ts';
import { type BlockSizes, blocksOf } from './blocks.ts';
import { type PackJob, type PackOptions, packInOrder } from './pack-in-order.ts';

const deflateRaw = (bytes: Uint8Array, options: zlib.ZlibOptions): Promise<Buffer> =>
  promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.deflateRaw)(bytes, options);

export interface GzipOptions extends PackOptions {
  /** 1 to 9; default 2: zlib's own 6 takes 2 to 4 times as long to save 4 to 9 % (bench/gzip-levels.mjs). */
  readonly level?: number;
}

/** About 1 MiB. Part of the format of our layers: other sizes give other bytes. */
const SIZES: BlockSizes = { least: 512 * 1024, most: 2 * 1024 * 1024, oneRecordIn: 1024 };
const DEFAULT_LEVEL = 2;
/** The largest: a table of 256 KiB more makes it 5 to 10 % faster. Part of the format as well. */
const MEMORY_LEVEL = 9;
/** Of zlib's output; its own 16 KiB are as many trips through the thread pool. Has no influence on the bytes. */
const OUTPUT_BYTES = 512 * 1024;
/** RFC 1951, section 2: what a back reference reaches. */
const WINDOW_BYTES = 32 * 1024;
/** RFC 1952, section 2.3: no name, time 0, no flags, operating system unknown (255). */
const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255);

/**
 * One gzip member, compressed on all cores through libuv's thread pool: blocks of about 1 MiB, each deflated with the 32 KiB
 * before it as dictionary and ended at a byte border, as pigz does. Equal bytes and level give equal output for any
 * concurrency and any chunking. Holds `concurrency` + 2 blocks.
 */
export async function* gzip(bytes: ByteStream, options: GzipOptions = {}): ByteStream {
  const { level = DEFAULT_LEVEL, ...packOptions } = options;
  let crc = 0;
  let size = 0;
  async function* jobs(): AsyncGenerator<PackJob> {
    let window: Uint8Array = new Uint8Array();
    for await (const { block, isLast, free } of blocksOf(bytes, SIZES)) {
      crc = zlib.crc32(block, crc);
      size += block.length;
      const dictionary = window;
      window = Buffer.from(block.subarray(-WINDOW_BYTES));
      yield {
        // other versions and processors find other matches (docs/adr/0018-speed.md)
        inputs: isLast ? undefined : [`gzip ${level} ${process.versions.zlib} ${process.arch}`, dictionary, block],
        pack: () =>
          deflateRaw(block, {
            level,
            memLevel: MEMORY_LEVEL,
            finishFlush: isLast ? zlib.constants.Z_FINISH : zlib.constants.Z_SYNC_FLUSH,
            chunkSize: OUTPUT_BYTES,
            ...(dictionary.length > 0 ? { dictionary } : {}),
          }),
        free,
      };
    }
  }
  packOptions.packing?.passed(HEADER);
  yield HEADER;
  yield* packInOrder(jobs(), packOptions);
  yield trailer(crc, size);
}

/** CRC-32 and size modulo 2^32, little-endian. */
function trailer(crc: number, size: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(crc, 0);
  bytes.writeUInt32LE(size % 2 ** 32, 4);
  return bytes;
}
