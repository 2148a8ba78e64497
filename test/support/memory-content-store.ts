import { BuildError } from '../../src/errors.ts';
import {
  type ByteStream,
  type ContentStore,
  type Descriptor,
  type Digest,
  digestMismatch,
  digestOf,
  type Ingested,
  verify,
} from '../../src/oci/index.ts';

/** A content store in memory, for tests of whatever takes one. */
export class MemoryContentStore implements ContentStore {
  readonly #blobs = new Map<Digest, Uint8Array>();

  async has(digest: Digest): Promise<boolean> {
    return this.#blobs.has(digest);
  }

  async *open(target: Pick<Descriptor, 'digest' | 'size'>): ByteStream {
    yield* verify(this.#chunks(target.digest), target);
  }

  async read(digest: Digest): Promise<Uint8Array> {
    const bytes = this.#get(digest);
    if (digestOf(bytes) !== digest) throw digestMismatch('blob', digest, digestOf(bytes));
    return bytes;
  }

  async ingest(
    bytes: ByteStream,
    expected?: Pick<Descriptor, 'digest' | 'size'>,
    signal?: AbortSignal,
  ): Promise<Ingested> {
    const chunks: Uint8Array[] = [];
    const gather = async (): Promise<void> => {
      for await (const chunk of expected ? verify(bytes, expected) : bytes) chunks.push(Buffer.from(chunk));
    };
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => reject(new BuildError('E_CANCELLED', 'Cancelled')));
    });
    await Promise.race([gather(), aborted]);
    const whole = Buffer.concat(chunks);
    const digest = digestOf(whole);
    this.#blobs.set(digest, whole);
    return { digest, size: whole.byteLength };
  }

  ingestMade(bytes: ByteStream): Promise<Ingested> {
    return this.ingest(bytes);
  }

  async delete(digest: Digest): Promise<void> {
    this.#blobs.delete(digest);
  }

  /** For tests of damage. */
  replace(digest: Digest, bytes: Uint8Array): void {
    this.#blobs.set(digest, bytes);
  }

  async *#chunks(digest: Digest): ByteStream {
    yield this.#get(digest);
  }

  #get(digest: Digest): Uint8Array {
    const bytes = this.#blobs.get(digest);
    if (!bytes) throw new BuildError('E_CORRUPT_STORE', `Missing blob ${digest}`);
    return bytes;
  }
}
