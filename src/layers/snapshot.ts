import type { DiffId, Layer, MtimeRule } from '../oci/index.ts';

/** The only thing that layers hand to the sandbox. `target` is relative to the new root; absent: the root itself. */
export interface Mount {
  readonly type: 'overlay' | 'bind';
  /** bind: the directory. overlay: `overlay`. */
  readonly source: string;
  readonly target?: string;
  readonly readOnly?: boolean;
  /** overlay only; lower: topmost first. */
  readonly lower?: readonly string[];
  readonly upper?: string;
  readonly work?: string;
}

export interface CommittedLayer {
  readonly diffId: DiffId;
  /** Of the tar. */
  readonly sizeBytes: number;
  /** Nothing changed: the tar has no entry. It is a layer all the same (as in BuildKit). */
  readonly isEmpty: boolean;
}

/** A writable root on top of a chain of layers. Disposing without `commit` discards it. */
export interface ActiveSnapshot extends AsyncDisposable {
  /** How to mount the root; valid until commit or disposal. */
  readonly mount: Mount;
  /** Freezes what was written: hashes its tar and keeps it in a form from which the tar can be made again. */
  commit(options: CommitOptions): Promise<CommittedLayer>;
}

export interface CommitOptions {
  /** Paths (absolute, clean) that are not part of the layer with all below them: mount stubs and what was mounted over. */
  readonly exclude: readonly string[];
  readonly mtimeRule?: MtimeRule | undefined;
}

/** A read-only root. */
export interface ViewSnapshot extends AsyncDisposable {
  readonly mount: Mount;
}

/**
 * Directories from layers and layers from directories.
 * Lifecycle: `prepare` -> the mount is used -> `commit` or dispose. A committed snapshot never changes again.
 * Implementations: `overlay` (one directory a layer) and `directory` (copies; where overlay cannot be mounted).
 */
export interface Snapshotter {
  readonly name: 'overlay' | 'directory';
  /** `chain`: base first. Layers that have no directory yet are applied, in parallel. */
  prepare(chain: readonly Layer[]): Promise<ActiveSnapshot>;
  view(chain: readonly Layer[]): Promise<ViewSnapshot>;
}
