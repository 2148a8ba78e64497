import type { ByteStream, Compression, DiffId, Layer, LayerPatch } from '../oci/index.ts';
import type { RootView } from './root-view.ts';
import type { CommittedLayer, Snapshotter } from './snapshot.ts';

/** Passes bytes on as they are. */
export type WatchBytes = (bytes: ByteStream) => ByteStream;

/** What is known of a tar that is made here. */
export interface MadeTar {
  /** The layer that it will most likely be. */
  readonly likely?: DiffId | undefined;
  /** Chunks are given away, with their buffers; their memory comes back here, to be filled again. */
  readonly onFree?: ((chunk: Uint8Array) => void) | undefined;
}

/** A layer that is mostly the tar of another one, which is here as a blob. */
export interface NewPatch extends Omit<LayerPatch, 'pieces'> {
  /** What is new. */
  readonly pieces: ByteStream;
}

/**
 * All layers that this store holds, by diffId, in whatever form they have: a blob as it came, a tar written by COPY or what of it is
 * another than in an earlier one, or the frozen directory that RUN left. Other forms are made only when somebody asks.
 */
export interface LayerLibrary {
  readonly snapshotter: Snapshotter;
  /** undefined: no form of it is here. Its descriptor is that of the uncompressed tar. */
  find(diffId: DiffId): Promise<Layer | undefined>;
  /** Keeps a tar of our own making as a new layer. It is indexed when somebody looks into it. */
  commitTar(tar: ByteStream, made?: MadeTar): Promise<CommittedLayer>;
  /** Keeps what is new in a layer; the caller has computed which one it is. */
  commitPatch(diffId: DiffId, patch: NewPatch): Promise<CommittedLayer>;
  /** The same for a tar from elsewhere. Throws `E_BAD_LAYER`. */
  importTar(tar: ByteStream): Promise<CommittedLayer>;
  /** The file that is the layer's tar, where there is one. Its bytes are not verified. */
  tarFile(diffId: DiffId): Promise<string | undefined>;
  /**
   * The same layer as a blob of that compression; made at most once per diffId and compression, on all cores. What has to be
   * made goes through `watch`.
   */
  compressed(layer: Layer, compression: Compression, watch?: WatchBytes): Promise<Layer>;
  view(chain: readonly Layer[]): Promise<RootView>;
  /** Resolves when the layers survive a power cut. Until then one that a step left may be gone after it, never wrong. */
  settle(layers: readonly Layer[]): Promise<void>;
}
