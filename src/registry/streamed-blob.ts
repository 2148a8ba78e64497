import {
  type ByteStream,
  type Descriptor,
  type Digest,
  digestFrom,
  formatReference,
  isDigest,
  sha256,
  type UnfinishedBlob,
} from '../oci/index.ts';
import { type Access, pushScope } from './authenticator.ts';
import { ChunkQueue } from './chunk-queue.ts';
import type { RegistryCall } from './host.ts';
import { locationOf, type Push, progressOf, withDigest } from './upload.ts';

/** What is shorter is sent in fewer requests when it is finished. */
const SHORTEST = 1024 * 1024;
/**
 * Bytes that wait for a slow connection. With more the attempt ends: sent in one piece it costs no more than before, and the
 * registry may turn out to have the blob.
 */
const MOST_WAITING = 16 * 1024 * 1024;

/**
 * Sends a blob whose digest nobody knows yet: POST, PATCH while it is made, PUT with the digest (distribution spec, "Pushing a
 * blob in chunks", in the one stream that Docker sends). An attempt only: where it fails the blob is sent when it is whole.
 */
export class StreamedBlob implements UnfinishedBlob {
  readonly #push: Push;
  readonly #access: Access;
  readonly #stop = new AbortController();
  readonly #queue = new ChunkQueue(MOST_WAITING, () => this.#stop.abort());
  readonly #hash = sha256();
  #size = 0;
  #sent: Promise<Digest | undefined> | undefined;

  constructor(push: Push) {
    this.#push = push;
    this.#access = { repository: push.ref.repository, scopes: [pushScope(push.ref.repository)] };
  }

  async *through(bytes: ByteStream): ByteStream {
    let isWhole = false;
    try {
      for await (const chunk of bytes) {
        this.#hash.update(chunk);
        this.#size += chunk.byteLength;
        this.#queue.add(chunk);
        if (this.#size >= SHORTEST) this.#sent ??= this.#send().catch(() => undefined);
        yield chunk;
      }
      isWhole = true;
    } finally {
      if (isWhole) this.#queue.end();
      else this.#stop.abort();
    }
  }

  async finish(descriptor: Descriptor): Promise<void> {
    const { host, ref } = this.#push;
    if ((await this.#sent) !== descriptor.digest) return;
    host.markSent(ref.repository, descriptor.digest);
    progressOf(this.#push, descriptor).finish('done');
  }

  /** The digest under which the registry has it. */
  async #send(): Promise<Digest | undefined> {
    const { host, ref } = this.#push;
    const target = `/v2/${ref.repository}/blobs/uploads/`;
    const opened = await host.send(this.#call({ method: 'POST', target, expected: [202] }));
    await opened.discard();
    const type = { 'content-type': 'application/octet-stream' };
    const body = this.#queue.once();
    const patch = { method: 'PATCH', target: locationOf(opened, ref), headers: type, body, expected: [202] } as const;
    const taken = await host.send(this.#call(patch));
    await taken.discard();
    const digest = digestFrom(this.#hash);
    const put = { method: 'PUT', target: withDigest(locationOf(taken, ref), digest), expected: [201, 204] } as const;
    const stored = await host.send(this.#call({ ...put, headers: { ...type, 'content-length': '0' } }));
    await stored.discard();
    const claimed = stored.header('docker-content-digest');
    return claimed === undefined || !isDigest(claimed) || claimed === digest ? digest : undefined;
  }

  #call(call: Pick<RegistryCall, 'method' | 'target' | 'expected'> & Partial<RegistryCall>): RegistryCall {
    const { ref, signal } = this.#push;
    const both = signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
    const action = `push a layer to "${formatReference(ref)}"`;
    return { action, access: this.#access, signal: both, retry: 'once', ...call };
  }
}
