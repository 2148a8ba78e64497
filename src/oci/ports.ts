import type { EventSink } from '../events.ts';
import type { ImageConfig } from './config.ts';
import type { Descriptor } from './descriptor.ts';
import type { CacheKey, DiffId, Digest } from './digest.ts';
import type { Compression } from './media-types.ts';
import type { Platform } from './platform.ts';
import type { Reference } from './reference.ts';

/** Bytes on their way. Anything that can be read twice has a *method returning* a ByteStream, never a stream field. */
export type ByteStream = AsyncIterable<Uint8Array>;

/** A file that has a layer's bytes, or is about to. Who reads it compares what comes out with the diffID. */
export interface LayerFile {
  readonly path: string;
  readonly compression: Compression;
  /** Absent: it is whole. */
  readonly growth?: FileGrowth | undefined;
  /** Called when the bytes were wrong: throws where that is the file's fault. */
  check(): Promise<void>;
}

export interface FileGrowth {
  /** Tells how many bytes are there, now and each time that they become more. */
  watch(listener: (size: number) => void): void;
  /** `elsewhere`: what this file was meant to hold came in another one. Rejects with why it could not be had. */
  readonly whole: Promise<'here' | 'elsewhere'>;
}

/** A layer whose both identities are known. Read-only; the streams open anew at each call. */
export interface Layer {
  /** Of the bytes that `compressed()` gives. A layer that was built here and never pushed is stored uncompressed. */
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
  /** The bytes of `descriptor`, verified: a wrong size or digest throws (`E_SIZE_MISMATCH`, `E_DIGEST_MISMATCH`). */
  compressed(signal?: AbortSignal): ByteStream;
  /** The tar, verified against `diffId` at its end. */
  uncompressed(signal?: AbortSignal): ByteStream;
  /** For who reads faster by himself. Absent or undefined: there are only the streams. */
  file?(): Promise<LayerFile | undefined>;
}

/** Raw bytes are the identity; the parsed views lie beside them. Change is a new value (see image.ts). */
export interface Image {
  /** Of the manifest: mediaType, digest, size. */
  readonly descriptor: Descriptor;
  readonly rawManifest: Uint8Array;
  readonly rawConfig: Uint8Array;
  readonly configDescriptor: Descriptor;
  readonly config: ImageConfig;
  /** Base first; as many as `config.rootfs.diff_ids`. */
  readonly layers: readonly Layer[];
}

/** Images for several platforms under one name (OCI image-index.md, Docker manifest list). */
export interface ImageIndex {
  readonly descriptor: Descriptor;
  /** The bytes of the index. */
  readonly rawManifest: Uint8Array;
  /** One for each entry, in its order. */
  readonly images: readonly Image[];
}

/** What a name may stand for. */
export type ImageOrIndex = Image | ImageIndex;

export interface TransferOptions {
  readonly emit?: EventSink;
  readonly signal?: AbortSignal | undefined;
}

/** Registry, store, OCI layout, OCI and Docker archives: whatever images come from. */
export interface ImageSource {
  /** Reads manifest and config only; layers stream when asked. Throws `E_NOT_FOUND`, `E_NO_PLATFORM`, ... */
  resolve(ref: Reference, platform: Platform, options?: TransferOptions): Promise<Image>;
}

/** Whatever images go to. `write` is idempotent, skips what is there, and names the image last. */
export interface ImageSink {
  /**
   * Returns the descriptor of the manifest or index as written. Throws `E_UNSUPPORTED` for an index where one image only has
   * room.
   */
  write(image: ImageOrIndex, ref: Reference, options?: TransferOptions): Promise<Descriptor>;
  /** A blob that may go there before `write`, while it is made. Absent: only finished ones are taken. */
  begin?(ref: Reference, options?: TransferOptions): UnfinishedBlob;
}

/** Best effort: what did not arrive goes with `write`. */
export interface UnfinishedBlob {
  /** Passes the bytes on, once. Chunks must not change afterwards. */
  through(bytes: ByteStream): ByteStream;
  /** The bytes were those of `descriptor`. */
  finish(descriptor: Descriptor): Promise<void>;
}

export interface Ingested {
  readonly digest: Digest;
  readonly size: number;
}

/** Bytes by digest. */
export interface ContentStore {
  has(digest: Digest): Promise<boolean>;
  /** Verified in the pipe. Throws `E_CORRUPT_STORE` where the blob is missing. */
  open(target: Pick<Descriptor, 'digest' | 'size'>): ByteStream;
  /** The file that has the bytes, unverified; undefined: it is not here. Absent: nothing here is a file. */
  fileOf?(digest: Digest): Promise<string | undefined>;
  /** Small blobs (manifests, configs), verified. */
  read(digest: Digest): Promise<Uint8Array>;
  /** Temporary file, hash, compare with `expected`, rename. Success means the content is there, not that this call put it there. */
  ingest(bytes: ByteStream, expected?: Pick<Descriptor, 'digest' | 'size'>, signal?: AbortSignal): Promise<Ingested>;
  /** `ingest` for many bytes that are made here. */
  ingestMade(bytes: ByteStream, how?: MadeBytes): Promise<Ingested>;
  delete(digest: Digest): Promise<void>;
}

/** What is known of bytes that are made here. */
export interface MadeBytes {
  /** Where this blob has the same bytes, nothing is written. */
  readonly likely?: Digest | undefined;
  /** Chunks are given away, with their buffers; their memory comes back here, to be filled again. */
  readonly onFree?: ((chunk: Uint8Array) => void) | undefined;
}

/** What a step left behind. Never the config: it is computed anew. */
export interface CacheRecord {
  readonly key: CacheKey;
  /** Absent when the step changed nothing that makes a layer (e.g. a WORKDIR that existed). */
  readonly layer?: { readonly diffId: DiffId; readonly sizeBytes: number };
  /** RFC 3339: when the step ran; goes into history and config. */
  readonly created: string;
  /** Canonical JSON of what the key covers: explains a miss. */
  readonly preimage: string;
  /** Names the step across edits (stage, position, instruction kind): finds the record to compare a miss with. */
  readonly slot: string;
  /** COPY and ADD: what was read, a line a file. Not part of the key: it says which files a later miss is due to. */
  readonly files?: readonly string[];
  /** Of a COPY from layers: the key that says what was copied, beside the one that says from which layers. */
  readonly contentKey?: CacheKey;
  /** It came with this image and is not kept here yet. */
  readonly source?: string;
}

export interface CacheIndex {
  /** undefined: never done, or its layer is gone. */
  lookup(key: CacheKey): Promise<CacheRecord | undefined>;
  /** `isLatest`: also what `latest` finds by its slot. */
  record(record: CacheRecord, options: { readonly isLatest: boolean }): Promise<void>;
  /** The newest record of a slot, for explaining a miss. */
  latest(slot: string): Promise<CacheRecord | undefined>;
}

/** Finds layers by what they contain. */
export interface LayerSource {
  /** undefined: no form of it is here. Its descriptor is that of the uncompressed tar, whatever form is stored. */
  find(diffId: DiffId): Promise<Layer | undefined>;
}

/** The blobs that hold a layer, and how to get from its diffID to them. */
export interface LayerRecord {
  readonly diffId: DiffId;
  /** Of the uncompressed tar; absent while only a compressed blob has been seen. */
  readonly tarSize?: number;
  /** Stored (or once stored) forms as blobs; `none` is the tar itself. */
  readonly blobs: readonly {
    readonly compression: 'none' | 'gzip' | 'zstd';
    readonly digest: Digest;
    readonly size: number;
  }[];
  readonly patch?: LayerPatch;
}

/** A layer's tar as parts of two blobs: that of another layer, which it mostly is, and one of what is new in it. */
export interface LayerPatch {
  readonly base: Ingested;
  readonly pieces: Ingested;
  /** In order; offset and length in bytes. */
  readonly parts: readonly (readonly [of: 'base' | 'pieces', offset: number, length: number])[];
}

/** Every blob that the forms of a layer consist of. */
export const digestsOf = ({ blobs, patch }: LayerRecord): readonly Digest[] => [
  ...blobs.map(({ digest }) => digest),
  ...(patch ? [patch.base.digest, patch.pieces.digest] : []),
];

export interface LayerIndex {
  get(diffId: DiffId): Promise<LayerRecord | undefined>;
  /** Adds to what is known of the layer. */
  add(record: LayerRecord): Promise<void>;
}
