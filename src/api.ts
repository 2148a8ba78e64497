import type { Writable } from 'node:stream';
import type {
  CacheOptions,
  ImageOptions,
  PullPolicy,
  ResultOptions,
  SandboxOptions,
  TimeOptions,
} from './build-options.ts';
import type { BuildError } from './errors.ts';
import type { EventSink } from './events.ts';
import type { NetworkChoice, SelfCommand, SshIdentity } from './executor/index.ts';
import type { FileDifference } from './layers/index.ts';
import type { Descriptor, DiffId, Digest, JsonDifference } from './oci/index.ts';
import type { UsageLine, Verified } from './store/index.ts';
import type { UserStreams } from './user-streams.ts';

/** What every operation takes. */
export interface SessionOptions {
  /** State directory; default: $XDG_DATA_HOME/tsbuild, for root /var/lib/tsbuild. */
  readonly root?: string | undefined;
  readonly emit: EventSink;
  readonly signal: AbortSignal;
  /** The caller's environment: XDG_*, DOCKER_CONFIG, proxies. */
  readonly env: Environment;
}

export type { SelfCommand } from './executor/index.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface RegistryAccess {
  /** false: plain http and unverified certificates are allowed. Default true; localhost is tried in plain http anyway. */
  readonly tlsVerify?: boolean | undefined;
  /** A file of certificates in PEM, trusted beside the built-in ones: also by RUN. */
  readonly caFile?: string | undefined;
  /** The only credentials file to read. */
  readonly authfile?: string | undefined;
}

export type {
  CacheOptions,
  CacheTarget,
  ImageOptions,
  IsolationOptions,
  OutputSpec,
  PackingOptions,
  PullPolicy,
  ResultOptions,
  SandboxOptions,
  TimeOptions,
  VolumeSpec,
} from './build-options.ts';
export type { HostEntry, NetworkChoice, ResolverSettings, ResourceLimits, Ulimit } from './executor/index.ts';

/** `--secret`. With neither file nor env: the variable called like the id if it is set, else the file. */
export interface SecretSource {
  readonly id: string;
  readonly file?: string | undefined;
  /** Name of a variable. */
  readonly env?: string | undefined;
}

export type { SshIdentity } from './executor/index.ts';

export interface BuildOptions
  extends SessionOptions,
    RegistryAccess,
    ImageOptions,
    TimeOptions,
    ResultOptions,
    SandboxOptions,
    CacheOptions {
  /** Directory. */
  readonly context: string;
  /** `--build-context`: name to directory, image, URL or repository, as the user wrote it. */
  readonly contexts: Readonly<Record<string, string>>;
  /**
   * Paths, read as one file in this order, or `-`: then `stdin` holds the text. None: Containerfile, then Dockerfile, in
   * the context.
   */
  readonly files: readonly string[];
  /** Instead of the ignore files beside the Containerfile and in the context. */
  readonly ignoreFile?: string | undefined;
  readonly stdin?: Uint8Array | undefined;
  /** Standard input, for the context `-`: read once, and only outside of the namespace. */
  readonly contextStdin?: AsyncIterable<Uint8Array> | undefined;
  readonly target?: string | undefined;
  /** Value undefined: taken from the caller's environment by the caller, or left out. */
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly pull: PullPolicy;
  readonly network: NetworkChoice;
  /** Steps at once; default: see `defaultJobs`. */
  readonly jobs?: number | undefined;
  readonly secrets: readonly SecretSource[];
  readonly ssh: readonly SshIdentity[];
  /** Only answer this about the file; run nothing. */
  readonly call?: Call | undefined;
  /** Whose terminal it is, for `onFailure`. */
  readonly user?: UserStreams | undefined;
  /** For `dest=-`. */
  readonly stdout?: Writable | undefined;
  /** How to run this very command again inside the namespace. */
  readonly self: SelfCommand;
}

export interface BuildResult {
  readonly kind: 'built';
  /** Digest of the config: the image's ID; of an index its own. */
  readonly imageId: Digest;
  /** Digest of the manifest or index in the store. */
  readonly manifest: Digest;
  /** Of the manifest or index where it went: as pushed, else as an archive has it, else as the store has it. */
  readonly descriptor: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>;
  /** Normalised names given. */
  readonly names: readonly string[];
  readonly steps: number;
  readonly cached: number;
  readonly durationMs: number;
}

/** The command was run again inside the namespace and has done everything, printing included. */
export interface Delegated {
  readonly kind: 'delegated';
  readonly exitCode: number;
}

/** What `--check`, `--call` and `--print` ask for. The graph has no JSON. */
export interface Call {
  readonly what: 'graph' | 'check' | 'outline' | 'targets';
  readonly format: 'text' | 'json';
}

/** The answer to a `Call`: text for standard output. */
export interface Report {
  readonly kind: 'report';
  readonly text: string;
  /** Not 0: a check found something. */
  readonly exitCode: number;
  /** Why the file could not be built: to be shown after the text. */
  readonly error?: BuildError;
}

export interface ImageSummary {
  readonly name: string;
  readonly imageId: Digest;
  readonly manifest: Digest;
  readonly created: string | undefined;
  /** Sum of the layers' tar sizes where known, else of their blobs. */
  readonly sizeBytes: number;
  readonly platform: string;
}

export interface PullResult {
  readonly name: string;
  readonly imageId: Digest;
  readonly manifest: Digest;
}

export interface PushResult {
  readonly destination: string;
  readonly manifest: Digest;
}

export interface PruneResult {
  readonly removed: number;
  readonly freedBytes: number;
}

/** See `stateUsage`. Bytes on disk. */
export interface StateUsage {
  readonly root: string;
  readonly lines: readonly UsageLine[];
  /** By `prune`, and by `prune --all`. */
  readonly freedBytes: number;
  readonly freedByAllBytes: number;
}

/** See `verifyState`. */
export type StateVerification = Verified;

/** See `diffImages`. Pairs: of the first image, of the second. */
export interface ImageDifferences {
  readonly digests: readonly string[];
  readonly manifest: readonly JsonDifference[];
  readonly config: readonly JsonDifference[];
  readonly layers: readonly LayerDifference[];
}

export interface LayerDifference {
  /** From 0, the lowest. */
  readonly index: number;
  readonly createdBy: readonly [string | undefined, string | undefined];
  /** undefined: that image has no such layer. */
  readonly diffIds: readonly [DiffId | undefined, DiffId | undefined];
  /** Empty where both are there: only the order of the tars, or the form of their headers. */
  readonly files: readonly FileDifference[];
}

export interface InfoReport {
  /** Name and value lines, in order; a value may have a hint for making the host better. */
  readonly lines: readonly { readonly name: string; readonly value: string; readonly hint?: string }[];
}
