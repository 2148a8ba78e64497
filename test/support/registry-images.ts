import { gzipSync } from 'node:zlib';
import type { Clock } from '../../src/http/index.ts';
import {
  type ByteStream,
  createImage,
  digestOf,
  type Image,
  type Layer,
  OCI_CONFIG,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
  parseDiffId,
} from '../../src/oci/index.ts';
import { anonymous, createRegistry, type Registry, type RegistryOptions } from '../../src/registry/index.ts';
import type { RegistryServer } from './registry-server.ts';

/** Time that passes only when somebody sleeps. */
export interface FakeClock extends Clock {
  readonly sleeps: number[];
  time: number;
}

export function fakeClock(): FakeClock {
  const clock: FakeClock = {
    sleeps: [],
    time: Date.UTC(2026, 0, 1),
    now: () => clock.time,
    random: () => 0.999,
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      clock.sleeps.push(ms);
      clock.time += ms;
    },
  };
  return clock;
}

/** A client that waits for nothing and trusts plain http on 127.0.0.1. */
export const testClient = (options: Partial<RegistryOptions> = {}): Registry =>
  createRegistry({
    tlsVerify: true,
    credentials: anonymous,
    userAgent: 'tsbuild/test',
    clock: fakeClock(),
    ...options,
  });

async function* chunked(bytes: Buffer, size = 4096): ByteStream {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** A gzip layer whose tar is `content` (not really a tar: no client looks inside). */
export function layerOf(content: Buffer | string, opened?: { count: number }): Layer {
  const tar = Buffer.from(content);
  const blob = gzipSync(tar);
  return {
    descriptor: { mediaType: OCI_LAYER_GZIP, digest: digestOf(blob), size: blob.length },
    diffId: parseDiffId(digestOf(tar)),
    compressed() {
      if (opened) opened.count++;
      return chunked(blob);
    },
    uncompressed: () => chunked(tar),
  };
}

export const imageOf = (layers: readonly Layer[], architecture = 'amd64'): Image =>
  createImage({
    format: 'oci',
    config: { os: 'linux', architecture, rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) } },
    layers,
  });

export interface Stored {
  readonly manifest: { readonly digest: string; readonly size: number };
  readonly blob: Buffer;
  readonly blobPath: string;
}

/** Puts an image with one gzip layer into the server. */
export function storeImage(server: RegistryServer, name: { repository: string; tag: string }, content: Buffer): Stored {
  const blob = gzipSync(content, { level: 0 });
  const layer = server.addBlob(name.repository, blob);
  const rootfs = { type: 'layers', diff_ids: [digestOf(content)] };
  const config = server.addBlob(name.repository, JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs }));
  const manifest = server.addManifest(name.repository, name.tag, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, ...config },
    layers: [{ mediaType: OCI_LAYER_GZIP, ...layer }],
  });
  return { manifest, blob, blobPath: `/v2/${name.repository}/blobs/${layer.digest}` };
}

export function firstLayer(image: Image): Layer {
  const [layer] = image.layers;
  if (layer === undefined) throw new Error('the image has no layer');
  return layer;
}
