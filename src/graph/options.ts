import type { SourceRange } from '../errors.ts';
import { formatImageName, formatPlatform, type ImageConfig, type Platform, parseImageName } from '../oci/index.ts';
import type { MountSyntax } from '../parser/index.ts';
import type { NamedContexts } from './named-contexts.ts';

/** Changes of the image that the command line asks for, beside `--label` (buildah-build(1)). */
export interface ImageEdits {
  /** Set where a stage starts from an image or from nothing: RUN sees it, ENV of the Containerfile wins over it. */
  readonly env: Readonly<Record<string, string>>;
  /** Names; taken out of the final image only, RUN has seen them. */
  readonly unsetEnv: readonly string[];
  readonly unsetLabels: readonly string[];
  /** false: labels of base images and base stages are left out. */
  readonly inheritLabels: boolean;
  /** Of the manifest. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly unsetAnnotations: readonly string[];
  /** true: those of the base image's manifest are kept. */
  readonly inheritAnnotations: boolean;
  /** Added to those of the base image, or taken away where a `-` follows. */
  readonly osFeatures: readonly string[];
}

export const NO_EDITS: ImageEdits = {
  env: {},
  unsetEnv: [],
  unsetLabels: [],
  inheritLabels: true,
  annotations: {},
  unsetAnnotations: [],
  inheritAnnotations: false,
  osFeatures: [],
};

/** What the caller wants built, as far as it changes the graph. */
export interface LowerOptions {
  /** Name or index of a stage; absent: the last one. */
  readonly target?: string | undefined;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** `--label`: win over LABEL. */
  readonly labels: Readonly<Record<string, string>>;
  /** Default: none. */
  readonly edits?: ImageEdits | undefined;
  /** `--mount`: of every RUN, before its own. */
  readonly mounts?: readonly MountSyntax[] | undefined;
  /** `--from`: stands in the first FROM for what is written there. */
  readonly from?: string | undefined;
  readonly platform: Platform;
  readonly buildPlatform: Platform;
  /** For RUN without `--network`, and with `--network=default`. */
  readonly network: 'default' | 'host' | 'none' | 'private';
  /** `--build-context`. */
  readonly contexts: NamedContexts;
  /** `--no-cache-filter`: names or indexes of stages. */
  readonly freshStages?: readonly string[] | undefined;
}

/** A resolved image that a stage starts from or copies from. */
export interface BaseImage {
  /** Normalised; with its transport, where it is no reference. */
  readonly reference: string;
  /** Of the manifest. */
  readonly digest: string;
  readonly config: ImageConfig;
  /** Of the manifest. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** By `imageKey`. */
export type BaseImages = ReadonlyMap<string, BaseImage>;

export interface RequiredImage {
  /** As the user wrote it, variables expanded. */
  readonly name: string;
  readonly platform: Platform;
  /** Where it is asked for. */
  readonly range: SourceRange;
}

/**
 * One key for all spellings of an image: `alpine` and `docker.io/library/alpine:latest`. Throws `E_BAD_REFERENCE`, and
 * `E_UNSUPPORTED` for a transport that cannot be read.
 */
export const imageKey = (name: string, platform: Platform): string =>
  `${formatImageName(parseImageName(name))} ${formatPlatform(platform)}`;
