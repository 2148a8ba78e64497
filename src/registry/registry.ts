import {
  type Clock,
  DEFAULT_TIMEOUTS,
  HttpClient,
  type ProxySettings,
  systemClock,
  type Timeouts,
  Transport,
} from '../http/index.ts';
import type {
  ByteStream,
  Descriptor,
  Image,
  ImageOrIndex,
  ImageSink,
  ImageSource,
  Platform,
  Reference,
  TransferOptions,
  UnfinishedBlob,
} from '../oci/index.ts';
import type { CredentialSource } from './credentials.ts';
import { download } from './download.ts';
import { Host } from './host.ts';
import { pushImage } from './push.ts';
import type { Decompress } from './remote-layer.ts';
import { resolveImage } from './resolve.ts';
import { StreamedBlob } from './streamed-blob.ts';
import type { DistributionSources } from './upload.ts';

export interface RegistryOptions {
  /** false: certificates are not verified, and plain http is tried where https does not answer. */
  readonly tlsVerify: boolean;
  readonly credentials: CredentialSource;
  /** PEM, trusted beside the built-in ones. */
  readonly caCertificates?: readonly string[] | undefined;
  readonly proxy?: ProxySettings | undefined;
  readonly userAgent: string;
  /** Takes gzip and zstd streams apart; without it gzip is, and zstd is an error. */
  readonly decompress?: Decompress | undefined;
  /** Where on a registry a blob is known to be: such blobs are mounted, not sent. */
  readonly distributionSources?: DistributionSources | undefined;
  readonly timeouts?: Partial<Timeouts> | undefined;
  readonly clock?: Clock | undefined;
}

/**
 * All registries, by the distribution protocol (OCI distribution-spec 1.1). Remembers scheme, credentials and tokens
 * of each. Errors: `E_UNAVAILABLE`, `E_TLS`, `E_UNAUTHORIZED`, `E_DENIED`, `E_NOT_FOUND`, `E_RATE_LIMITED`,
 * `E_REGISTRY`, and of what was fetched `E_DIGEST_MISMATCH`, `E_SIZE_MISMATCH`, `E_BAD_MANIFEST`, `E_NO_PLATFORM`.
 */
export class Registry implements ImageSource, ImageSink {
  readonly #options: RegistryOptions;
  readonly #http: HttpClient;
  readonly #transport: Transport;
  readonly #hosts = new Map<string, Host>();

  constructor(options: RegistryOptions) {
    const { tlsVerify, caCertificates = [], proxy = {}, userAgent, clock = systemClock } = options;
    this.#options = options;
    const timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    this.#http = new HttpClient({ tlsVerify, caCertificates, proxy, userAgent, timeouts });
    this.#transport = new Transport(this.#http, clock);
  }

  resolve(ref: Reference, platform: Platform, options: TransferOptions = {}): Promise<Image> {
    const host = this.host(ref.registry);
    return resolveImage({ ...options, host, ref, platform, decompress: this.#options.decompress });
  }

  /** A blob of a repository, verified. */
  open(
    descriptor: Descriptor,
    ref: Pick<Reference, 'registry' | 'repository'>,
    options: TransferOptions = {},
  ): ByteStream {
    const source = { host: this.host(ref.registry), repository: ref.repository, emit: options.emit };
    return download(source, descriptor, options.signal);
  }

  write(content: ImageOrIndex, ref: Reference, options: TransferOptions = {}): Promise<Descriptor> {
    const host = this.host(ref.registry);
    return pushImage(content, { ...options, host, ref, sources: this.#options.distributionSources });
  }

  begin(ref: Reference, options: TransferOptions = {}): UnfinishedBlob {
    return new StreamedBlob({ ...options, host: this.host(ref.registry), ref, sources: undefined });
  }

  /** Ends idle connections. They do not keep the process alive, so this is for tests and servers. */
  close(): Promise<void> {
    return this.#http.close();
  }

  /** For this folder only: the connection to one registry. */
  host(registry: string): Host {
    const { credentials, tlsVerify } = this.#options;
    const known =
      this.#hosts.get(registry) ?? new Host(registry, { transport: this.#transport, credentials, tlsVerify });
    this.#hosts.set(registry, known);
    return known;
  }
}

/** Loads nothing and connects to nothing until it is used. */
export const createRegistry = (options: RegistryOptions): Registry => new Registry(options);
