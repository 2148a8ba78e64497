import type { ByteStream } from '../oci/index.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Opened anew each time that the request is sent. */
  readonly body?: Uint8Array | (() => ByteStream) | undefined;
  /** A question with a short answer, which is not worth loading undici for. */
  readonly isSmall?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Milliseconds without progress. */
export interface Timeouts {
  readonly connect: number;
  /** From the last byte sent to the first one received. */
  readonly headers: number;
  readonly body: number;
}
