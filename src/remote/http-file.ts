import { existsSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError } from '../errors.ts';
import type { EventSink } from '../events.ts';
import type { HttpResponse, Transport } from '../http/index.ts';
import { Download } from './download.ts';
import { fetchFailure, shownUrl, statusFailure } from './http-failures.ts';
import { type Kept, keyOf } from './kept.ts';

/** A file behind a URL. */
export interface HttpFile {
  /** May hold `user:password@`, which only its own host is told. */
  readonly url: string;
  /** What it is called in its directory. */
  readonly name: string;
  /** `sha256:`, `sha384:` or `sha512:` and lower-case hex. */
  readonly checksum?: string | undefined;
}

export interface HttpParts {
  readonly transport: Transport;
  readonly kept: Kept;
  readonly emit: EventSink;
  readonly signal: AbortSignal;
  /** The value of an Authorization header for a host; undefined: none. */
  readonly authorization: (url: URL) => string | undefined;
}

/** What is known of the last answer for a URL. */
interface Answer {
  readonly tree: string;
  /** `algorithm:hex`, all that were ever computed of these bytes. */
  readonly digests: readonly string[];
  readonly etag?: string;
  readonly lastModified?: string;
}

/**
 * A directory that holds just the file: mode 0600, its time that of Last-Modified, or 0. With a checksum whose bytes
 * are here no request is made; otherwise the server is asked whether what is here is still right. Throws
 * `E_DIGEST_MISMATCH`, `E_NOT_FOUND`, `E_UNAVAILABLE`, `E_TLS`, `E_UNAUTHORIZED`, `E_DENIED`, `E_RATE_LIMITED`,
 * `E_REMOTE`, `E_NO_SPACE`, `E_STORE`, `E_CANCELLED`.
 */
export async function fetchFile(file: HttpFile, parts: HttpParts): Promise<string> {
  const url = new URL(file.url);
  const key = keyOf({ kind: 'http answer', url: file.url });
  const known = readAnswer(key, file.name, parts.kept);
  if (known && file.checksum !== undefined && known.answer.digests.includes(file.checksum)) return known.tree;
  try {
    return await ask({ file, url, key, known }, parts);
  } catch (error) {
    throw fetchFailure(error, url);
  }
}

interface Known {
  readonly answer: Answer;
  /** Where it lies. */
  readonly tree: string;
}

function readAnswer(key: string, name: string, kept: Kept): Known | undefined {
  const record = kept.readRecord(key);
  const { tree, digests, etag, lastModified } = record ?? {};
  if (typeof tree !== 'string' || !/^[0-9a-f]{64}$/.test(tree) || !Array.isArray(digests)) return undefined;
  const path = kept.find(tree);
  if (path === undefined || !existsSync(join(path, name))) return undefined;
  const answer = {
    tree,
    digests: digests.map(String),
    ...(typeof etag === 'string' ? { etag } : {}),
    ...(typeof lastModified === 'string' ? { lastModified } : {}),
  };
  return { answer, tree: path };
}

interface Question {
  readonly file: HttpFile;
  readonly url: URL;
  readonly key: string;
  readonly known: Known | undefined;
}

async function ask({ file, url, key, known }: Question, parts: HttpParts): Promise<string> {
  const { transport, emit, signal } = parts;
  const target = new URL(url);
  target.username = '';
  target.password = '';
  const headers = requestHeaders(url, parts);
  const allowDowngrade = file.checksum !== undefined;
  const usable = file.checksum === undefined ? known : undefined; // other bytes than those wanted need no condition
  const response = await transport.send({
    method: 'GET',
    url: target,
    headers: { ...headers, ...conditions(usable?.answer) },
    allowDowngrade,
    signal,
    onRetry: (note) => emit({ type: 'info', message: `Fetching "${shownUrl(url)}": ${note}` }),
  });
  if (response.status === 304 && usable) {
    await response.discard();
    return usable.tree;
  }
  if (response.status !== 200) throw await statusFailure(response, url);
  return keep(response, { file, key, target, headers, allowDowngrade }, parts);
}

function requestHeaders(url: URL, { authorization }: HttpParts): Readonly<Record<string, string>> {
  const own = url.username === '' && url.password === '' ? authorization(url) : basic(url);
  // compressed on the way only it would not be the file that has the checksum
  return { accept: '*/*', 'accept-encoding': 'identity', ...(own === undefined ? {} : { authorization: own }) };
}

function basic({ username, password }: URL): string {
  const plain = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(plain).toString('base64')}`;
}

/** RFC 9110 section 13.1: the ETag where there is one. */
function conditions(answer: Answer | undefined): Readonly<Record<string, string>> {
  if (answer?.etag !== undefined) return { 'if-none-match': answer.etag };
  return answer?.lastModified === undefined ? {} : { 'if-modified-since': answer.lastModified };
}

interface Fetching {
  readonly file: HttpFile;
  readonly key: string;
  readonly target: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly allowDowngrade: boolean;
}

async function keep(response: HttpResponse, fetching: Fetching, parts: HttpParts): Promise<string> {
  const { file, key, target, headers, allowDowngrade } = fetching;
  const { transport, kept, emit, signal } = parts;
  const algorithms = [...new Set(['sha256', ...(file.checksum?.split(':', 1) ?? [])])];
  let answer: Answer | undefined;
  const path = await kept.add(async (directory) => {
    const place = join(directory, file.name);
    const options = { transport, url: target, headers, allowDowngrade, emit, signal, algorithms };
    const { digests, response: last } = await Download.run(response, place, options);
    verify(file, digests);
    const mtime = modifiedAt(last);
    utimesSync(place, mtime, mtime);
    const tree = keyOf({ kind: 'http file', name: file.name, digest: digests[0] ?? '', mtime });
    answer = { tree, digests, ...validators(last) };
    return tree;
  });
  if (answer) kept.writeRecord(key, { ...answer, digests: [...answer.digests] });
  return path;
}

function verify({ url, checksum }: HttpFile, digests: readonly string[]): void {
  if (checksum === undefined || digests.includes(checksum)) return;
  const actual = digests.at(-1) ?? '';
  throw new BuildError(
    'E_DIGEST_MISMATCH',
    `Cannot use "${shownUrl(new URL(url))}": its checksum is ${actual}, expected ${checksum}`,
    {
      hint: 'The file changed, or somebody changed it: look at it before you write the new checksum down',
      fields: { expected: checksum, actual },
    },
  );
}

/** Seconds; 0 without a time that can be read, as in BuildKit and buildah. */
function modifiedAt(response: HttpResponse): number {
  const time = Date.parse(response.header('last-modified') ?? '');
  return Number.isNaN(time) ? 0 : Math.max(0, Math.floor(time / 1000));
}

/** A file may change twice in the second that Last-Modified names; later it cannot (RFC 9110 section 8.8.2.2). */
const SETTLED_MS = 2000;

function validators(response: HttpResponse): Pick<Answer, 'etag' | 'lastModified'> {
  const etag = response.header('etag');
  if (etag !== undefined) return { etag };
  const lastModified = response.header('last-modified');
  const age = Date.parse(response.header('date') ?? '') - Date.parse(lastModified ?? '');
  return lastModified !== undefined && age >= SETTLED_MS ? { lastModified } : {};
}
