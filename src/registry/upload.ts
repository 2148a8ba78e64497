import { BuildError } from '../errors.ts';
import {
  type FailedTry,
  type HttpResponse,
  isTransientError,
  isTransientStatus,
  parseRetryAfter,
  resolveLocation,
  retryDelay,
} from '../http/index.ts';
import {
  type ByteStream,
  type Descriptor,
  type Digest,
  digestMismatch,
  formatReference,
  isDigest,
  type Reference,
  type TransferOptions,
} from '../oci/index.ts';
import { type Access, pullScope, pushScope } from './authenticator.ts';
import type { Host, RegistryCall } from './host.ts';
import { Progress } from './progress.ts';

/** Repositories of this registry where a blob is known to be. */
export type DistributionSources = (registry: string, digest: Digest) => readonly string[] | Promise<readonly string[]>;

export interface Push extends TransferOptions {
  readonly host: Host;
  readonly ref: Reference;
  readonly sources: DistributionSources | undefined;
}

export interface PushedBlob {
  readonly descriptor: Descriptor;
  readonly open: (signal?: AbortSignal) => ByteStream;
}

export interface BlobPush extends Push {
  readonly onWarning: (text: string) => void;
}

const MOUNT_REFUSED: readonly string[] = ['E_UNAUTHORIZED', 'E_DENIED', 'E_NOT_FOUND', 'E_REGISTRY'];
/** Each other repository widens the token, so only the likeliest ones. */
const MAX_MOUNT_TRIES = 2;
/**
 * What a registry answers when it forgot the upload session (BLOB_UPLOAD_UNKNOWN 404, BLOB_UPLOAD_INVALID 400,
 * out of sequence 416, conflict 409, expired 410): a new session helps.
 */
const SESSION_LOST = [404, 409, 410, 416];

/** The digest that the registry says it stored must be ours. */
export function checkStored(response: HttpResponse, expected: Digest, what: string): void {
  const claimed = response.header('docker-content-digest');
  if (claimed !== undefined && isDigest(claimed) && claimed !== expected) {
    throw digestMismatch(`${what} as the registry stored it`, expected, claimed);
  }
}

export const progressOf = ({ emit, host }: Push, descriptor: Descriptor): Progress =>
  new Progress({ ...descriptor, direction: 'push' }, emit, host.transport.clock);

/** Sends one blob, unless it is there or can be mounted from a repository that has it. */
export async function pushBlob(push: BlobPush, blob: PushedBlob): Promise<void> {
  if (push.host.hasSent(push.ref.repository, blob.descriptor.digest)) return;
  await new BlobUpload(push, blob).run();
}

class BlobUpload {
  readonly #push: BlobPush;
  readonly #blob: PushedBlob;
  readonly #progress: Progress;
  readonly #access: Access;

  constructor(push: BlobPush, blob: PushedBlob) {
    const { repository } = push.ref;
    this.#push = push;
    this.#blob = blob;
    this.#progress = progressOf(push, blob.descriptor);
    this.#access = { repository, scopes: [pushScope(repository)] };
  }

  async run(): Promise<void> {
    this.#progress.report('waiting');
    try {
      this.#progress.finish(await this.#place());
    } catch (error) {
      this.#progress.report('failed');
      throw error;
    }
  }

  async #place(): Promise<'exists' | 'mounted' | 'done'> {
    if (await this.#exists()) return 'exists';
    let session = await this.#mount();
    if (session === 'mounted') return 'mounted';
    const { host, signal } = this.#push;
    for (let tries = 1; ; tries++) {
      const failed = await this.#upload(session ?? (await this.#openSession()));
      if (failed === undefined) return 'done';
      session = undefined;
      const wait = retryDelay({ ...failed, tries }, host.transport.clock);
      if (wait === undefined) throw failed.error;
      this.#progress.report('retrying', failed.error.message);
      await host.transport.wait(wait, signal);
      // The answer may have been lost, not the blob.
      if (await this.#exists()) return 'done';
    }
  }

  async #exists(): Promise<boolean> {
    const response = await this.#send({
      method: 'HEAD',
      target: `${this.#path}/${this.#blob.descriptor.digest}`,
      expected: [200, 404],
    });
    await response.discard();
    return response.status === 200;
  }

  /** Asks for the blob from elsewhere in the registry; a registry that cannot opens an upload session instead. */
  async #mount(): Promise<'mounted' | URL | undefined> {
    const { ref, sources } = this.#push;
    const { digest } = this.#blob.descriptor;
    const known = (await sources?.(ref.registry, digest)) ?? [];
    for (const from of known.filter((name) => name !== ref.repository).slice(0, MAX_MOUNT_TRIES)) {
      const query = new URLSearchParams({ mount: digest, from });
      const scopes = [pushScope(ref.repository), pullScope(from)];
      const call = this.#send({
        method: 'POST',
        target: `${this.#path}/uploads/?${query}`,
        access: { repository: ref.repository, scopes },
        expected: [201, 202],
      });
      const response = await call.catch(ignoreRefusal);
      if (response === undefined) continue;
      await response.discard();
      if (response.status === 201) return 'mounted';
      if (response.status === 202) return locationOf(response, ref);
    }
    return undefined;
  }

  async #openSession(): Promise<URL> {
    const response = await this.#send({ method: 'POST', target: `${this.#path}/uploads/`, expected: [202] });
    await response.discard();
    return locationOf(response, this.#push.ref);
  }

  /** One PUT with the whole blob (distribution spec, "POST then PUT"). The failure, if a new session may help. */
  async #upload(session: URL): Promise<(Omit<FailedTry, 'tries'> & { readonly error: BuildError }) | undefined> {
    const { digest, size } = this.#blob.descriptor;
    const target = withDigest(session, digest);
    const call = this.#call({
      method: 'PUT',
      target,
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
      body: () => this.#counted(),
      expected: [],
      retry: 'once',
    });
    let response: HttpResponse;
    try {
      response = await this.#push.host.send({ ...call, expected: ANY_STATUS });
    } catch (error) {
      if (isTransientError(error)) return { error };
      throw error;
    }
    if (response.status === 201 || response.status === 204 || response.status === 202) {
      checkStored(response, digest, 'the blob');
      await response.discard();
      return undefined;
    }
    const { status } = response;
    const retryAfterMs = parseRetryAfter(response.header('retry-after'), this.#push.host.transport.clock.now());
    const error = await this.#push.host.failure(response, call);
    const lost = SESSION_LOST.includes(status) || String(error.fields.codes ?? '').includes('BLOB_UPLOAD_');
    if (!lost && !isTransientStatus(status)) throw error;
    return { error, retryAfterMs };
  }

  async *#counted(): ByteStream {
    this.#progress.restart();
    for await (const chunk of this.#blob.open(this.#push.signal)) {
      this.#progress.advance(chunk.byteLength);
      yield chunk;
    }
  }

  get #path(): string {
    return `/v2/${this.#push.ref.repository}/blobs`;
  }

  #send(call: Pick<RegistryCall, 'method' | 'target' | 'expected'> & Partial<RegistryCall>): Promise<HttpResponse> {
    return this.#push.host.send(this.#call(call));
  }

  #call(call: Pick<RegistryCall, 'method' | 'target' | 'expected'> & Partial<RegistryCall>): RegistryCall {
    const { ref, signal, onWarning } = this.#push;
    const onRetry = (note: string): void => this.#progress.report('retrying', note);
    const action = `push the blob ${this.#blob.descriptor.digest} to "${formatReference(ref)}"`;
    return { action, access: this.#access, signal, onWarning, onRetry, ...call };
  }
}

/** That we may not read elsewhere is no reason not to upload. */
function ignoreRefusal(error: unknown): undefined {
  if (error instanceof BuildError && MOUNT_REFUSED.includes(error.code)) return undefined;
  throw error;
}

/** The upload answers are told apart here and not in the host. */
const ANY_STATUS: readonly number[] = Array.from({ length: 500 }, (_, i) => 100 + i);

export function locationOf(response: HttpResponse, { registry }: Reference): URL {
  const location = response.header('location');
  if (location !== undefined) return resolveLocation(location, response.url);
  throw new BuildError('E_REGISTRY', `"${registry}" opened an upload without a Location`);
}

/** The Location's own query is a signature or state: it must stay as it is, byte for byte. */
export function withDigest(session: URL, digest: string): URL {
  const target = new URL(session);
  target.search = `${session.search === '' ? '?' : `${session.search}&`}digest=${encodeURIComponent(digest)}`;
  return target;
}
