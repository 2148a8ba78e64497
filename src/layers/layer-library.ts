import { join } from 'node:path';
import {
  asDigest,
  type ByteStream,
  type Compression,
  type ContentStore,
  type Descriptor,
  type DiffId,
  type Layer,
  type LayerFile,
  type LayerIndex,
  type LayerRecord,
  layerCompression,
  layerType,
  OCI_LAYER,
  verifyDiffId,
} from '../oci/index.ts';
import { ChainView } from './chain-view.ts';
import { decompress } from './compression.ts';
import { gzip } from './compression-gzip.ts';
import { zstd } from './compression-zstd.ts';
import { DirectoryTree } from './directory-tree.ts';
import type { LayerDirectories } from './layer-directories.ts';
import { hasPatch, openPatch } from './layer-patch.ts';
import type { LayerTree } from './layer-tree.ts';
import type { LayerLibrary, MadeTar, NewPatch, WatchBytes } from './library.ts';
import { MergedTree } from './merged-tree.ts';
import { type BlobPacking, PackedBlocks } from './packed-blocks.ts';
import type { RootView } from './root-view.ts';
import type { CommittedLayer, Snapshotter } from './snapshot.ts';
import { TAR_END } from './tar/index.ts';
import { TarIndexes } from './tar-indexes.ts';
import { TarTree } from './tar-tree.ts';

export interface LayerLibraryParts {
  /** The state directory. */
  readonly root: string;
  readonly store: ContentStore;
  readonly index: LayerIndex;
  readonly directories: LayerDirectories;
  readonly snapshotter: Snapshotter;
}

type LayerBlob = LayerRecord['blobs'][number];

interface Packing {
  readonly compression: Compression;
  readonly watch: WatchBytes;
}

const COMPRESSORS: Readonly<Record<Compression, (tar: ByteStream, packing: BlobPacking) => ByteStream>> = {
  none: (tar) => tar,
  gzip: (tar, packing) => gzip(tar, { packing }),
  zstd: (tar, packing) => zstd(tar, { packing }),
};

interface FoundTar {
  /** What holds it. */
  readonly blob?: LayerBlob;
  readonly open: () => ByteStream;
  /** Ends with the comparison with the diffID. */
  readonly isVerified: boolean;
}

/** The layers of a state directory: blobs that came or were written, and directories that steps left. */
export class DiskLayerLibrary implements LayerLibrary {
  readonly snapshotter: Snapshotter;
  readonly #parts: LayerLibraryParts;
  readonly #indexes: TarIndexes;
  readonly #packedBlocks: PackedBlocks;
  readonly #compressing = new Map<string, Promise<Layer>>();

  constructor(parts: LayerLibraryParts) {
    this.snapshotter = parts.snapshotter;
    this.#parts = parts;
    this.#indexes = new TarIndexes(parts.root);
    this.#packedBlocks = new PackedBlocks(parts.root, parts.store);
  }

  async find(diffId: DiffId): Promise<Layer | undefined> {
    const found = await this.#tarOf(diffId);
    if (!found) return undefined;
    const tar = found.isVerified ? found.open : () => verifyDiffId(found.open(), diffId);
    const size = (await this.#parts.index.get(diffId))?.tarSize ?? (await this.#measure(diffId, tar));
    const descriptor: Descriptor = { mediaType: OCI_LAYER, digest: asDigest(diffId), size };
    const open = (signal?: AbortSignal): ByteStream => abortable(tar(), signal);
    const { blob } = found;
    return {
      diffId,
      descriptor,
      compressed: open,
      uncompressed: open,
      ...(blob ? { file: () => this.#fileOf(blob) } : {}),
    };
  }

  async #fileOf(blob: LayerBlob): Promise<LayerFile | undefined> {
    const { store } = this.#parts;
    const path = await store.fileOf?.(blob.digest);
    const check = async (): Promise<void> => {
      for await (const _ of store.open(blob)); // to the end, where the bytes are compared with their digest
    };
    return path === undefined ? undefined : { path, compression: blob.compression, check };
  }

  async commitTar(tar: ByteStream, { likely, onFree }: MadeTar = {}): Promise<CommittedLayer> {
    const { digest, size } = await this.#parts.store.ingestMade(tar, { likely: likely && asDigest(likely), onFree });
    const diffId = digest as string as DiffId; // The blob is the tar: the same bytes' hash.
    await this.#parts.index.add({ diffId, tarSize: size, blobs: [{ compression: 'none', digest, size }] });
    return { diffId, sizeBytes: size, isEmpty: size === TAR_END.byteLength };
  }

  async commitPatch(diffId: DiffId, { base, pieces, parts }: NewPatch): Promise<CommittedLayer> {
    const { store, index } = this.#parts;
    const tarSize = parts.reduce((sum, [, , length]) => sum + length, 0);
    await index.add({ diffId, tarSize, blobs: [], patch: { base, parts, pieces: await store.ingest(pieces) } });
    return { diffId, sizeBytes: tarSize, isEmpty: false };
  }

  async importTar(tar: ByteStream): Promise<CommittedLayer> {
    using making = this.#indexes.begin();
    const committed = await this.commitTar(making.watch(tar));
    this.#indexes.keep(making.write(), committed.diffId);
    return committed;
  }

  async tarFile(diffId: DiffId): Promise<string | undefined> {
    const { index, store } = this.#parts;
    const plain = (await index.get(diffId))?.blobs.find(({ compression }) => compression === 'none');
    return plain && store.fileOf?.(plain.digest);
  }

  async compressed(layer: Layer, compression: Compression, watch: WatchBytes = (bytes) => bytes): Promise<Layer> {
    if (compression !== 'none' && layerCompression(layer.descriptor.mediaType) === compression) return layer;
    const key = `${layer.diffId} ${compression}`;
    const running =
      this.#compressing.get(key) ??
      this.#compress(layer, { compression, watch }).finally(() => this.#compressing.delete(key));
    this.#compressing.set(key, running);
    return running;
  }

  async view(chain: readonly Layer[]): Promise<RootView> {
    const trees = await Promise.all(chain.map((layer) => this.#treeOf(layer)));
    return new ChainView(new MergedTree(trees.reverse()));
  }

  settle(layers: readonly Layer[]): Promise<void> {
    return this.#parts.directories.settle(layers.map(({ diffId }) => diffId));
  }

  async #treeOf(layer: Layer): Promise<LayerTree> {
    const directory = this.#parts.directories.lookup(layer.diffId);
    if (directory) return new DirectoryTree(join(directory.path, 'fs'), directory.meta);
    return new TarTree(layer, await this.#indexes.of(layer));
  }

  /** How to open the tar; undefined: no form of the layer is here. A directory last: its owners show only in the namespace. */
  async #tarOf(diffId: DiffId): Promise<FoundTar | undefined> {
    const { index, store } = this.#parts;
    const { blobs = [], patch } = (await index.get(diffId)) ?? {};
    const present: LayerBlob[] = [];
    for (const blob of blobs) if (await store.has(blob.digest)) present.push(blob);
    const plain = present.find(({ compression }) => compression === 'none');
    // the store verifies what it gives, and this blob's digest is the diffID
    if (plain) {
      return { blob: plain, open: () => store.open(plain), isVerified: asDigest(diffId) === plain.digest };
    }
    const [packed] = present;
    if (packed) {
      return { blob: packed, open: () => decompress(store.open(packed), packed.compression), isVerified: false };
    }
    if (patch && (await hasPatch(patch, store)))
      return { open: () => openPatch(diffId, patch, store), isVerified: true };
    const directory = await this.#tarDirectory(diffId);
    return directory === undefined
      ? undefined
      : { open: () => this.#parts.directories.tarOf(directory), isVerified: false };
  }

  /** A directory whose tar is the layer's: one that a step left, or at need an unpacked one that gives the same bytes. */
  async #tarDirectory(diffId: DiffId): Promise<string | undefined> {
    const { directories } = this.#parts;
    const found = directories.lookup(diffId);
    if (!found || found.meta.kind === 'frozen') return found?.path;
    const actual = await directories.workers.run<'identify'>({ kind: 'identify', layer: found.path });
    return actual === diffId ? found.path : undefined;
  }

  async #measure(diffId: DiffId, tar: () => ByteStream): Promise<number> {
    let tarSize = 0;
    for await (const chunk of tar()) tarSize += chunk.byteLength;
    await this.#parts.index.add({ diffId, tarSize, blobs: [] });
    return tarSize;
  }

  async #compress(layer: Layer, packing: Packing): Promise<Layer> {
    const { compression } = packing;
    const blob = (await this.#knownBlob(layer.diffId, compression)) ?? (await this.#makeBlob(layer, packing));
    const mediaType = layerType('oci', compression) ?? OCI_LAYER;
    const descriptor: Descriptor = { mediaType, digest: blob.digest, size: blob.size };
    const { store } = this.#parts;
    return {
      diffId: layer.diffId,
      descriptor,
      compressed: (signal) => abortable(store.open(descriptor), signal),
      uncompressed: (signal) => layer.uncompressed(signal),
    };
  }

  async #knownBlob(diffId: DiffId, wanted: Compression): Promise<LayerBlob | undefined> {
    const { index, store } = this.#parts;
    for (const blob of (await index.get(diffId))?.blobs ?? []) {
      if (blob.compression === wanted && (await store.has(blob.digest))) return blob;
    }
    return undefined;
  }

  async #makeBlob(layer: Layer, { compression, watch }: Packing): Promise<LayerBlob> {
    await using packing = this.#packedBlocks.begin();
    const packed = COMPRESSORS[compression](layer.uncompressed(), packing);
    const { digest, size } = await this.#parts.store.ingest(watch(packed));
    packing.keep(digest);
    const blob: LayerBlob = { compression, digest, size };
    await this.#parts.index.add({ diffId: layer.diffId, blobs: [blob] });
    return blob;
  }
}

async function* abortable(bytes: ByteStream, signal: AbortSignal | undefined): ByteStream {
  for await (const chunk of bytes) {
    signal?.throwIfAborted();
    yield chunk;
  }
}
