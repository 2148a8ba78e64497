import { createHash, type Hash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import type { EventSink } from '../events.ts';
import { type HttpResponse, isTransientError, redactUrl, retryDelay, type Transport } from '../http/index.ts';
import { statusFailure } from './http-failures.ts';

/** events.ts: ten a second. */
const INTERVAL_MS = 100;

export interface DownloadOptions {
  readonly transport: Transport;
  readonly url: URL;
  /** Without the ones that ask for a condition. */
  readonly headers: Readonly<Record<string, string>>;
  readonly allowDowngrade: boolean;
  readonly emit: EventSink;
  readonly signal: AbortSignal;
  readonly algorithms: readonly string[];
}

export interface Downloaded {
  /** `algorithm:hex`, one for each of the algorithms. */
  readonly digests: readonly string[];
  /** The one whose body came to its end. */
  readonly response: HttpResponse;
}

/**
 * Streams the body of an answer to a file. Where the connection breaks it goes on behind what is there, if the server
 * can (a strong ETag and ranges, RFC 9110 section 13.1.5), else from the start.
 */
export class Download {
  readonly #options: DownloadOptions;
  readonly #fd: number;
  #hashes: readonly Hash[] = [];
  #received = 0;
  #total: number | undefined;
  #told = 0;

  private constructor(options: DownloadOptions, fd: number) {
    this.#options = options;
    this.#fd = fd;
  }

  /** Throws what `Transport` does, and errors of the file system as they are. */
  static async run(response: HttpResponse, file: string, options: DownloadOptions): Promise<Downloaded> {
    const fd = openSync(file, 'wx', 0o600);
    const download = new Download(options, fd);
    try {
      const last = await download.#receive(response);
      download.#report('done');
      return { response: last, digests: download.#digests() };
    } catch (error) {
      download.#report('failed');
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  async #receive(first: HttpResponse): Promise<HttpResponse> {
    const { transport, signal } = this.#options;
    let response = first;
    let furthest = 0;
    for (let tries = 1; ; tries++) {
      if (response.status !== 206) this.#restart(response);
      try {
        for await (const chunk of response.body) this.#write(chunk);
        return response;
      } catch (error) {
        if (!isTransientError(error)) throw error;
        // what starts at the beginning each time has to get further to count as progress
        if (this.#received > furthest) tries = 1;
        furthest = Math.max(furthest, this.#received);
        const wait = retryDelay({ tries, error }, transport.clock);
        if (wait === undefined) throw error;
        this.#report('retrying', error.message);
        await transport.wait(wait, signal);
        response = await this.#again(response);
      }
    }
  }

  async #again(before: HttpResponse): Promise<HttpResponse> {
    const { transport, url, headers, allowDowngrade, signal } = this.#options;
    const etag = before.header('etag');
    const canResume = this.#received > 0 && etag !== undefined && !etag.startsWith('W/');
    const range = canResume ? { range: `bytes=${this.#received}-`, 'if-range': etag } : {};
    const onRetry = (note: string): void => this.#report('retrying', note);
    const request = { method: 'GET', url, signal, allowDowngrade, onRetry } as const;
    const response = await transport.send({ ...request, headers: { ...headers, ...range } });
    if (response.status === 200 || (response.status === 206 && startsAt(response, this.#received))) return response;
    if (response.status !== 206 && response.status !== 416) throw await statusFailure(response, url);
    await response.discard(); // a part that was not asked for: once more, from the start
    const whole = await transport.send({ ...request, headers });
    if (whole.status === 200) return whole;
    throw await statusFailure(whole, url);
  }

  #restart(response: HttpResponse): void {
    ftruncateSync(this.#fd);
    this.#received = 0;
    this.#hashes = this.#options.algorithms.map((algorithm) => createHash(algorithm));
    const length = Number(response.header('content-length') ?? Number.NaN);
    this.#total = Number.isSafeInteger(length) ? length : undefined;
    this.#report('running');
  }

  #write(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.byteLength; ) {
      at += writeSync(this.#fd, chunk, at, chunk.byteLength - at, this.#received + at);
    }
    for (const hash of this.#hashes) hash.update(chunk);
    this.#received += chunk.byteLength;
    if (this.#options.transport.clock.now() - this.#told >= INTERVAL_MS) this.#report('running');
  }

  #digests(): string[] {
    return this.#hashes.map((hash, index) => `${this.#options.algorithms[index]}:${hash.digest('hex')}`);
  }

  #report(state: 'running' | 'done' | 'retrying' | 'failed', note?: string): void {
    const { url, transport, emit } = this.#options;
    this.#told = transport.clock.now();
    emit({
      type: 'transfer',
      id: redactUrl(url),
      direction: 'pull',
      state,
      doneBytes: this.#received,
      ...(this.#total === undefined ? {} : { totalBytes: this.#total }),
      ...(note === undefined ? {} : { note }),
    });
  }
}

/** Content-Range (RFC 9110 section 14.4) must begin where we asked. */
const startsAt = (response: HttpResponse, from: number): boolean =>
  /^bytes (\d+)-/.exec(response.header('content-range') ?? '')?.[1] === String(from);
