import type { CapabilityChanges, Isolation, SandboxSettings } from './executor/index.ts';
import type { ImageEdits } from './graph/index.ts';
import type { Compression, ImageFormat } from './oci/index.ts';

/** When a base image is fetched: always; where the store lacks it; where the registry has a newer one; never. */
export type PullPolicy = 'always' | 'missing' | 'newer' | 'never';

/** What the image is to say of itself, beside what its Containerfile says. */
export interface ImageOptions {
  readonly labels: Readonly<Record<string, string>>;
  readonly edits?: ImageEdits | undefined;
  /** Stands in the first FROM for what is written there. */
  readonly from?: string | undefined;
  /** Each `os/arch[/variant]`; several make an index of as many images. Default: this machine's. */
  readonly platforms?: readonly string[] | undefined;
  readonly osVersion?: string | undefined;
  /** Adds the annotation `org.opencontainers.image.created`. */
  readonly createdAnnotation?: boolean | undefined;
}

/** How the layers of an image that leaves the store are compressed. */
export interface PackingOptions {
  /** Of layers that are not compressed yet, as those that were built here. Default: gzip. */
  readonly compression?: Compression | undefined;
  /** Layers that are compressed in another way, too. */
  readonly forceCompression?: boolean | undefined;
}

/** `-o type=...,dest=...`. `dest` is `-` for standard output. */
export type OutputSpec =
  /** `packing`: instead of that of the build. */
  | { readonly type: 'oci'; readonly dest: string; readonly packing?: PackingOptions | undefined }
  | { readonly type: 'docker' | 'tar' | 'local'; readonly dest: string };

/** What becomes of the image. The store has it in any case. */
export interface ResultOptions extends PackingOptions {
  /** As the user wrote them. */
  readonly tags: readonly string[];
  readonly outputs: readonly OutputSpec[];
  readonly format: ImageFormat;
  /** One layer and one history entry, those of the base included. */
  readonly squash?: boolean | undefined;
  /** To the registries that the tags name. */
  readonly push?: boolean | undefined;
  /** After success the cache is pruned, longest unused first, until the state directory fits in so many bytes. */
  readonly keepStorageBytes?: number | undefined;
}

/** A directory or file of this machine that every RUN sees. */
export interface VolumeSpec {
  readonly source: string;
  /** Absolute, clean. */
  readonly target: string;
  readonly readOnly: boolean;
}

/** What keeps a step in; default `auto`. `runtime`: the program for `oci`, by its path or its name in $PATH. */
export interface IsolationOptions {
  readonly isolation?: Isolation | undefined;
  readonly runtime?: string | undefined;
}

/** What RUN steps run in. */
export interface SandboxOptions extends IsolationOptions {
  readonly capabilities?: CapabilityChanges | undefined;
  readonly sandbox?: Omit<SandboxSettings, 'capabilities' | 'seccomp'> | undefined;
  /** A file in Docker's format; default: Docker's default profile. */
  readonly seccomp?: 'unconfined' | { readonly file: string } | undefined;
  /** `shell`: whoever is at the terminal looks into the root of a step that fails, before it goes. Default: `stop`. */
  readonly onFailure?: 'stop' | 'shell' | undefined;
  /** A RUN that takes longer fails. */
  readonly timeoutMs?: number | undefined;
  /** RUN sees the proxy variables of `env`. */
  readonly httpProxy?: boolean | undefined;
  readonly volumes?: readonly VolumeSpec[] | undefined;
  /** Each as the value of `RUN --mount`. */
  readonly mounts?: readonly string[] | undefined;
}

/** Seconds since 1970. */
export interface TimeOptions {
  /**
   * Makes builds repeatable: it is `created`, and no file of a new layer is later. Absent: what the global
   * `ARG SOURCE_DATE_EPOCH` says, if it is there.
   */
  readonly sourceDateEpoch?: number | undefined;
  /** As `sourceDateEpoch`, but every file of a new layer, of `-o type=tar` and of `-o type=local` gets this time. */
  readonly timestamp?: number | undefined;
}

/** `--cache-to`. */
export type CacheTarget =
  /** In an annotation of the image itself. */
  | { readonly type: 'inline' }
  /** An image of its own, for `docker://NAME` or `oci:DIR`; `max`: the steps of all stages, `min`: those of the image. */
  | { readonly type: 'image'; readonly destination: string; readonly mode: 'min' | 'max' };

/** What may be taken from earlier builds. */
export interface CacheOptions {
  /** Every step runs again. */
  readonly noCache: boolean;
  /** The steps of these stages (names or indexes) run again. */
  readonly noCacheFilter?: readonly string[] | undefined;
  /** Milliseconds: older results are not used. */
  readonly cacheTtlMs?: number | undefined;
  /** Images whose layers serve as results of the same steps: names, `oci:DIR`. */
  readonly cacheFrom?: readonly string[] | undefined;
  readonly cacheTo?: readonly CacheTarget[] | undefined;
}
