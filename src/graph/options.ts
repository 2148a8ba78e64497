import type { SourceRange } from '../errors.ts';
import { formatImageName, formatPlatform, type ImageConfig, type Platform, parseImageName } from '../oci/index.ts';
import type { MountSyntax } from '../parser/index.ts';
import type { ImageEdits } from './image-edits.ts';
import type { NamedContexts } from './named-contexts.ts';

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
  /** For RUN without `--network`. */
  readonly network: 'default' | 'host' | 'none';
  /** `--build-context`. */
  readonly contexts: NamedContexts;
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
