import type { MessagePort } from 'node:worker_threads';
import type { Compression, DiffId, MtimeRule } from '../oci/index.ts';
import type { CopyOptions } from './copy-chain.ts';
import type { LayerMeta } from './layer-meta.ts';
import type { Owners } from './ownership.ts';
import type { Settling } from './unsettled.ts';

/**
 * What a worker thread does. Paths are absolute; `layers` are layer directories (`fs`, `meta.json`), topmost first.
 * All of it is synchronous file work that would block the main thread, or that needs the namespace.
 */
export interface Jobs {
  /** Unpacks the tar that is fed to it into the empty directory. */
  readonly apply: {
    readonly input: { readonly directory: string; readonly owners: Owners };
    readonly output: Omit<LayerMeta, 'kind'>;
  };
  /** The same with the bytes of a file, which may grow meanwhile (`grown`, `end`). Says which layer it was. */
  readonly unpack: {
    readonly input: {
      readonly directory: string;
      readonly owners: Owners;
      readonly file: { readonly path: string; readonly compression: Compression };
      /** The output has no diffID. */
      readonly isHashedElsewhere: boolean;
    };
    readonly output: Omit<LayerMeta, 'kind'> & { readonly diffId: DiffId | undefined };
  };
  /** See DirectoryChain.complete. */
  readonly complete: {
    readonly input: { readonly layers: readonly string[]; readonly target: string; readonly owners: Owners };
    readonly output: boolean;
  };
  /** Makes `upper` and `work` in the directory; the root looks like that of the chain. */
  readonly prepare: {
    readonly input: { readonly layers: readonly string[]; readonly directory: string; readonly owners: Owners };
    readonly output: undefined;
  };
  readonly freeze: {
    readonly input: {
      readonly upper: string;
      readonly layers: readonly string[];
      readonly exclude: readonly string[];
      readonly mtimeRule?: MtimeRule | undefined;
      readonly owners: Owners;
    };
    readonly output: { readonly diffId: DiffId; readonly meta: LayerMeta };
  };
  /** Streams the tar of a layer directory. */
  readonly tar: { readonly input: { readonly layer: string }; readonly output: undefined };
  /** Its diffID, without the tar. */
  readonly identify: { readonly input: { readonly layer: string }; readonly output: DiffId };
  /** Copies the merged tree of a chain, or a directory of it (relative, clean), to `target`; returns the moment (ctime, ns) after which every change is a step's. */
  readonly copy: {
    readonly input: { readonly layers: readonly string[]; readonly target: string } & CopyOptions;
    readonly output: bigint;
  };
  /** Puts what changed in `root` since `since` into `upper`, in overlay form. `root` loses those files. */
  readonly diff: {
    readonly input: {
      readonly root: string;
      readonly layers: readonly string[];
      readonly since: bigint;
      readonly upper: string;
      readonly owners: Owners;
    };
    readonly output: undefined;
  };
  /** Bytes on disk of a tree. */
  readonly measure: { readonly input: { readonly path: string }; readonly output: number };
  /** See `settle`. */
  readonly settle: { readonly input: Settling; readonly output: undefined };
  readonly remove: { readonly input: { readonly paths: readonly string[] }; readonly output: undefined };
}

export type JobKind = keyof Jobs;
export type Job = { [Kind in JobKind]: { readonly kind: Kind } & Jobs[Kind]['input'] }[JobKind];
export type JobOf<Kind extends JobKind> = Extract<Job, { readonly kind: Kind }>;
export type JobOutput<Kind extends JobKind> = Jobs[Kind]['output'];

/** Chunks that may be on their way between two threads: with 256 KiB chunks 2 MiB a stream. */
export const CHUNKS_ON_THE_WAY = 8;

export type ToWorker =
  | { readonly type: 'start'; readonly job: Job }
  /** Beside the job; what else is said of it goes by the port. */
  | { readonly type: 'unpack'; readonly job: JobOf<'unpack'>; readonly port: MessagePort }
  | { readonly type: 'chunk'; readonly bytes: Uint8Array }
  /** So many bytes of the file are there. */
  | { readonly type: 'grown'; readonly size: number }
  /** No more bytes. */
  | { readonly type: 'end' }
  /** Gives up the job; it answers with `failed`. */
  | { readonly type: 'abort' }
  /** A chunk was taken. */
  | { readonly type: 'credit' };

export type FromWorker =
  | { readonly type: 'chunk'; readonly bytes: Uint8Array }
  /** A chunk was taken; its buffer comes back to be filled again. */
  | { readonly type: 'credit'; readonly buffer?: ArrayBuffer }
  | { readonly type: 'done'; readonly output: unknown }
  | { readonly type: 'failed'; readonly error: SentError };

/** An error on its way: classes do not survive the crossing. */
export interface SentError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly fields?: Readonly<Record<string, string | number>> | undefined;
  readonly stack?: string | undefined;
}
