import { BuildError } from '../errors.ts';
import type { EventSink } from '../events.ts';
import { type HttpResponse, isTransientError, retryDelay } from '../http/index.ts';
import { type ByteStream, type Descriptor, provingItself, verify } from '../oci/index.ts';
import { type Access, pullScope } from './authenticator.ts';
import { statusFailure } from './failures.ts';
import type { Host } from './host.ts';
import { Progress } from './progress.ts';

export interface BlobSource {
  readonly host: Host;
  readonly repository: string;
  readonly emit?: EventSink | undefined;
}

interface Range {
  readonly from: number;
  readonly signal: AbortSignal | undefined;
  readonly onRetry: (note: string) => void;
}

type Open = (range: Range) => Promise<HttpResponse>;

const rangeHeaders = (from: number): Readonly<Record<string, string>> =>
  from === 0 ? {} : { range: `bytes=${from}-` };

/** From the registry's own storage. */
const fromRegistry = ({ host, repository }: BlobSource, descriptor: Descriptor): Open => {
  const access: Access = { repository, scopes: [pullScope(repository)] };
  return ({ from, signal, onRetry }) =>
    host.send({
      method: 'GET',
      target: `/v2/${repository}/blobs/${descriptor.digest}`,
      action: `fetch the blob ${descriptor.digest} of "${repository}"`,
      access,
      headers: rangeHeaders(from),
      expected: [200, 206],
      signal,
      onRetry,
    });
};

/** From a place that the manifest names; never with credentials (CVE-2020-15157). */
const fromUrl = ({ host }: BlobSource, url: URL): Open => {
  return async ({ from, signal, onRetry }) => {
    const headers = rangeHeaders(from);
    const response = await host.transport.send({ method: 'GET', url, headers, signal, onRetry });
    if (response.status === 200 || response.status === 206) return response;
    const { status, body } = response;
    throw await statusFailure({ method: 'GET', url, status, body, action: `fetch a layer from "${url.host}"` });
  };
};

function openersOf(source: BlobSource, descriptor: Descriptor): readonly Open[] {
  const urls = (descriptor.urls ?? []).filter((url) => /^https?:\/\//i.test(url) && URL.canParse(url));
  return [...urls.map((url) => fromUrl(source, new URL(url))), fromRegistry(source, descriptor)];
}

/** The first place that answers; the error of the last. */
async function openFirst(openers: readonly Open[], range: Range): Promise<HttpResponse> {
  let failure: unknown;
  for (const open of openers) {
    try {
      return await open(range);
    } catch (error) {
      if (range.signal?.aborted) throw error;
      failure = error;
    }
  }
  throw failure;
}

/** Content-Range (RFC 9110 section 14.4) must begin where we asked. */
function startsAt(response: HttpResponse, from: number): boolean {
  if (response.status !== 206) return false;
  return Number(/^bytes (\d+)-/.exec(response.header('content-range') ?? '')?.[1] ?? -1) === from;
}

/** Drops what is already there, for servers that ignore Range. */
async function* skip(bytes: ByteStream, count: number): ByteStream {
  let left = count;
  for await (const chunk of bytes) {
    if (left < chunk.byteLength) yield left === 0 ? chunk : chunk.subarray(left);
    left = Math.max(0, left - chunk.byteLength);
  }
}

/** The blob's bytes, taken up again where a connection broke. Not verified. */
async function* resume(
  source: BlobSource,
  descriptor: Descriptor,
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal | undefined },
): ByteStream {
  const { transport } = source.host;
  const openers = openersOf(source, descriptor);
  const onRetry = (note: string): void => progress.report('retrying', note);
  let received = 0;
  for (let tries = 1; ; tries++) {
    const before = received;
    const response = await openFirst(openers, { from: received, signal, onRetry });
    try {
      if (response.status === 206 && !startsAt(response, received)) {
        throw new BuildError(
          'E_REGISTRY',
          `The registry answered with the wrong part of the blob ${descriptor.digest}`,
        );
      }
      const isRest = response.status === 206 || received === 0;
      for await (const chunk of isRest ? response.body : skip(response.body, received)) {
        received += chunk.byteLength;
        progress.advance(chunk.byteLength);
        yield chunk;
      }
      return;
    } catch (error) {
      if (!isTransientError(error)) throw error;
      if (received > before) tries = 1;
      const wait = retryDelay({ tries, error }, transport.clock);
      if (wait === undefined) throw error;
      onRetry(`${error.message}; going on at byte ${received}`);
      await transport.wait(wait, signal);
    }
  }
}

/** A blob, verified at its end, as many at once as the host allows. Opens the connection at the first read. */
export const download = (source: BlobSource, descriptor: Descriptor, signal?: AbortSignal): ByteStream =>
  provingItself(verified(source, descriptor, signal), descriptor);

async function* verified(source: BlobSource, descriptor: Descriptor, signal: AbortSignal | undefined): ByteStream {
  const { host, emit } = source;
  const progress = new Progress({ ...descriptor, direction: 'pull' }, emit, host.transport.clock);
  progress.report('waiting');
  await host.slots.acquire();
  let state: 'broken' | 'complete' = 'broken';
  try {
    progress.report('running');
    yield* verify(resume(source, descriptor, { progress, signal }), descriptor);
    state = 'complete';
  } finally {
    host.slots.release();
    if (state === 'complete') progress.finish('done');
    else progress.report('failed');
  }
}
