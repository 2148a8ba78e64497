import { join } from 'node:path';
import { BuildError } from '../errors.ts';
import { type ByteStream, type Descriptor, type Digest, type FileGrowth, hexOf, isDigest } from '../oci/index.ts';
import { type BlobDirectories, DiskContentStore, type Ingesting } from './blobs.ts';
import { ComingBlob } from './coming-blob.ts';
import { readRecord, replaceFile, touch } from './state-file.ts';

/** A repository that has a blob: `registry` and `repository` of a reference. */
export interface Origin {
  readonly registry: string;
  readonly repository: string;
}

/** Opens a blob where it lies; verified by the store. */
export type FetchBlob = (descriptor: Descriptor, origin: Origin) => ByteStream;

export interface RemoteBlobsOptions extends BlobDirectories {
  /** One record a blob, by the hex of its digest. */
  readonly origins: string;
  /** Absent: what is not here cannot be had. */
  readonly fetchBlob?: FetchBlob | undefined;
}

interface OriginRecord {
  readonly descriptor: Descriptor;
  /** The one that was seen last comes first. */
  readonly origins: readonly Origin[];
}

/** More are no more help. */
const MOST_ORIGINS = 4;

/**
 * The blobs of the store, and those that lie in a registry until somebody reads them: the layers of base images. `has` and
 * `open` know both; `isHere`, `stat` and `list` know only files.
 */
export class RemoteBlobs extends DiskContentStore {
  readonly #options: RemoteBlobsOptions;
  readonly #coming = new Map<Digest, ComingBlob>();

  constructor(options: RemoteBlobsOptions) {
    super(options);
    this.#options = options;
  }

  override async has(digest: Digest): Promise<boolean> {
    const isRemote = await touch(this.#path(digest));
    return (await this.isHere(digest)) || isRemote;
  }

  override async *open(target: Pick<Descriptor, 'digest' | 'size'>): ByteStream {
    await this.bring(target.digest);
    yield* super.open(target);
  }

  /** Remembers where a blob is; it is fetched when it is read. */
  async addOrigin(descriptor: Descriptor, { registry, repository }: Origin): Promise<void> {
    const others = (await this.origins(descriptor.digest)).filter(
      (other) => other.registry !== registry || other.repository !== repository,
    );
    const origins = [{ registry, repository }, ...others].slice(0, MOST_ORIGINS);
    const bytes = JSON.stringify({ descriptor, origins } satisfies OriginRecord);
    // what an image needs and nothing else here has
    await replaceFile({ path: this.#path(descriptor.digest), bytes, ingest: this.#options.ingest, durable: true });
  }

  async origins(digest: Digest): Promise<readonly Origin[]> {
    return (await this.#lookup(digest))?.origins ?? [];
  }

  /** Fetches the blob, if it is not here and somebody is known to have it. Throws what the registry says. */
  async bring(digest: Digest): Promise<void> {
    await (await this.#come(digest))?.arrived;
  }

  /** The file that has the blob, or gets it from now on; undefined: nobody is known to have it. */
  async file(digest: Digest): Promise<{ readonly path: string; readonly growth?: FileGrowth } | undefined> {
    const coming = await this.#come(digest);
    const growth = await coming?.growth();
    if (growth) return { path: growth.path, growth };
    await coming?.arrived;
    const path = await this.fileOf(digest);
    return path === undefined ? undefined : { path };
  }

  /** undefined: it is here, or cannot be had. */
  async #come(digest: Digest): Promise<ComingBlob | undefined> {
    const coming = this.#coming.get(digest);
    if (coming || (await this.isHere(digest))) return coming;
    const record = await this.#lookup(digest);
    if (!record) return undefined; // whoever opens it says that it is missing
    const begun = this.#coming.get(digest) ?? new ComingBlob((onGrow) => this.#fetch(record, onGrow));
    this.#coming.set(digest, begun);
    const forget = () => void this.#coming.delete(digest);
    begun.arrived.then(forget, forget);
    return begun;
  }

  async #fetch({ descriptor, origins }: OriginRecord, onGrow: Ingesting['onGrow']): Promise<void> {
    const { fetchBlob } = this.#options;
    const { digest } = descriptor;
    if (!fetchBlob) throw notAllowed(digest, origins);
    let failure: unknown;
    for (const origin of origins) {
      try {
        await this.ingestShown(fetchBlob(descriptor, origin), { expected: descriptor, onGrow });
        return;
      } catch (error) {
        failure ??= stayedAway(digest, origin, error);
      }
    }
    throw failure;
  }

  async #lookup(digest: Digest): Promise<OriginRecord | undefined> {
    const record = parseOrigins(await readRecord(this.#path(digest)));
    return record?.descriptor.digest === digest ? record : undefined;
  }

  #path(digest: Digest): string {
    return join(this.#options.origins, `${hexOf(digest)}.json`);
  }
}

function notAllowed(digest: Digest, [origin]: readonly Origin[]): BuildError {
  const place = `${origin?.registry}/${origin?.repository}`;
  return new BuildError('E_NO_IMAGE', `The layer ${digest} of "${place}" is not in the store, and may not be fetched`, {
    hint: `Leave --pull=never out, or run "tsbuild pull ${place}" first`,
  });
}

function stayedAway(digest: Digest, { registry, repository }: Origin, cause: unknown): unknown {
  if (!(cause instanceof BuildError) || cause.code === 'E_CANCELLED') return cause;
  const { code, message, hint, fields } = cause;
  const place = `${registry}/${repository}`;
  return new BuildError(
    code,
    `Cannot fetch the layer ${digest} of "${place}", which no build needed so far: ${message}`,
    {
      hint: `${hint === undefined ? '' : `${hint}. `}With the network there, "tsbuild pull ${place}" brings all layers`,
      cause,
      fields,
    },
  );
}

/** undefined: not a record that `addOrigin` wrote. */
export function parseOrigins(value: Readonly<Record<string, unknown>> | undefined): OriginRecord | undefined {
  // read to be checked only
  const { descriptor, origins } = (value ?? {}) as Partial<OriginRecord>;
  if (descriptor === undefined || !isDigest(String(descriptor.digest))) return undefined;
  if (typeof descriptor.size !== 'number' || typeof descriptor.mediaType !== 'string') return undefined;
  if (!Array.isArray(origins) || !origins.every(isOrigin)) return undefined;
  return { descriptor, origins };
}

const isOrigin = (value: Partial<Origin> | null): boolean =>
  typeof value?.registry === 'string' && typeof value.repository === 'string';
