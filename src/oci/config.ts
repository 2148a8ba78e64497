import { BuildError } from '../errors.ts';
import { canonicalJson, type Json } from './canonical-json.ts';
import { type DiffId, parseDiffId } from './digest.ts';
import type { Platform } from './platform.ts';

/** Durations in nanoseconds, as Docker stores them. */
export interface Healthcheck {
  readonly Test?: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

/** The `config` member: OCI image-spec config.md plus the Docker fields, which stay in OCI output too (as BuildKit does). */
export interface ContainerConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Volumes?: Readonly<Record<string, Record<string, never>>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  readonly Healthcheck?: Healthcheck;
  readonly OnBuild?: readonly string[];
  readonly Shell?: readonly string[];
  readonly ArgsEscaped?: boolean;
}

export interface HistoryEntry {
  /** RFC 3339. */
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/** A parsed image config. Unknown members of a received config survive only in its raw bytes. */
export interface ImageConfig extends Platform {
  readonly created?: string;
  readonly author?: string;
  readonly config?: ContainerConfig;
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly DiffId[] };
  readonly history?: readonly HistoryEntry[];
}

/** Manifests and configs above this are refused (containers/image and containerd use 4 MiB). */
export const MAX_JSON_BYTES = 4 * 1024 * 1024;

/** Parses received config bytes. Throws `E_BAD_MANIFEST`. */
export function parseConfig(raw: Uint8Array): ImageConfig {
  try {
    const value: unknown = JSON.parse(Buffer.from(raw).toString('utf8'));
    if (typeof value !== 'object' || value === null) throw new TypeError('not an object');
    const config = value as ImageConfig & { rootfs?: { diff_ids?: readonly string[] } };
    for (const text of [config.os ?? '', config.architecture ?? '', config.variant ?? '']) {
      if (typeof text !== 'string') throw new TypeError('the platform is not text');
    }
    const diffIds = (config.rootfs?.diff_ids ?? []).map(parseDiffId);
    return {
      ...config,
      os: config.os ?? 'linux',
      architecture: config.architecture ?? 'amd64',
      rootfs: { type: 'layers', diff_ids: diffIds },
    };
  } catch (cause) {
    throw new BuildError('E_BAD_MANIFEST', 'Cannot read the image config: not a valid image configuration', { cause });
  }
}

/**
 * The bytes of a config that we author: canonical JSON, so that equal configs have equal digests; a health check in the
 * order in which Docker writes it, for readers that compare its text.
 */
export const encodeConfig = (config: ImageConfig): Uint8Array =>
  Buffer.from(canonicalJson(config as unknown as Json, new Set(['Healthcheck'])));
