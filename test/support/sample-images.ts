import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { createGunzip, gzipSync } from 'node:zlib';
import { encodeTarStream } from '../../src/layers/index.ts';
import {
  type ByteStream,
  type Compression,
  createImage,
  type DiffId,
  digestOf,
  type Image,
  type ImageConfig,
  type ImageFormat,
  type Layer,
  layerType,
  readAll,
} from '../../src/oci/index.ts';

export async function* streamOf(...chunks: readonly (Uint8Array | string)[]): ByteStream {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

export const collect = async (bytes: ByteStream): Promise<Buffer> => Buffer.from(await readAll(bytes, 2 ** 30));

/** Enough of the real one for images of tests: gzip. */
export function decompress(bytes: ByteStream, compression: Compression): ByteStream {
  if (compression === 'none') return bytes;
  return Readable.from(bytes).pipe(createGunzip());
}

/** A tar with the given files. */
export async function tarOf(files: Readonly<Record<string, string | Uint8Array>>): Promise<Buffer> {
  const members = Object.entries(files).map(([path, content]) => {
    const bytes = Buffer.from(content);
    const entry = { type: 'file', path, mode: 0o644, uid: 0, gid: 0, mtime: 0, size: bytes.length } as const;
    return { entry, body: streamOf(bytes) };
  });
  return collect(encodeTarStream(members));
}

/** A layer that lies in memory. */
export function layerOf(tar: Uint8Array, compression: 'none' | 'gzip' = 'none', format: ImageFormat = 'oci'): Layer {
  const stored = compression === 'gzip' ? gzipSync(tar) : tar;
  const mediaType = layerType(format, compression) ?? '';
  return {
    descriptor: { mediaType, digest: digestOf(stored), size: stored.byteLength },
    // The digest of the tar is the diffID.
    diffId: digestOf(tar) as string as DiffId,
    compressed: () => streamOf(stored),
    uncompressed: () => streamOf(tar),
  };
}

export interface SampleOptions {
  readonly compression?: 'none' | 'gzip';
  readonly format?: ImageFormat;
  readonly architecture?: string;
  readonly env?: readonly string[];
  /** Bytes of a file in a layer of its own. */
  readonly payload?: Uint8Array;
}

/** A small image of two layers. Options that differ give another digest. */
export async function sampleImage(options: SampleOptions = {}): Promise<Image> {
  const { compression = 'none', format = 'oci', architecture = 'amd64', env = ['A=b'] } = options;
  const tars = [
    await tarOf({ 'etc/motd': 'hello\n', 'bin/app': '#!/bin/sh\necho app\n' }),
    await tarOf({ payload: options.payload ?? 'second layer' }),
  ];
  const layers = tars.map((tar) => layerOf(tar, compression, format));
  const config: ImageConfig = {
    os: 'linux',
    architecture,
    created: '2020-01-02T03:04:05Z',
    config: { Env: env, Cmd: ['/bin/app'] },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history: [{ created_by: 'one' }, { created_by: 'two' }],
  };
  return createImage({ format, config, layers });
}

export const randomPayload = (size: number): Uint8Array => randomBytes(size);
