import { BuildError } from '../errors.ts';
import type { Clock } from './clock.ts';

/** Waits of about 1, 3, 9 and 27 s: short enough for a person, long enough for a registry that restarts. */
const MAX_TRIES = 5;
/** A wrong port or a misspelled host name is much likelier than an outage. */
const MAX_TRIES_UNREACHABLE = 3;
const FIRST_DELAY_MS = 1000;
const FACTOR = 3;
/** A registry that wants us to come back later than this gets its error reported instead. */
const LONGEST_WAIT_MS = 60_000;

/** 408 and 429 (RFC 9110, RFC 6585), and server faults but 501 and 505, which time does not heal. */
export const isTransientStatus = (status: number): boolean =>
  status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);

/** A failed connection. Certificates, refusals and integrity errors do not get better by repeating. */
export const isTransientError = (error: unknown): error is BuildError =>
  error instanceof BuildError && error.code === 'E_UNAVAILABLE';

const isUnreachable = (error: BuildError): boolean =>
  error.fields.reason === 'ECONNREFUSED' || error.fields.reason === 'ENOTFOUND';

/** Retry-After (RFC 9110 section 10.2.3), seconds or date, in milliseconds from now; undefined if absent or senseless. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

export interface FailedTry {
  /** 1 for the first try. */
  readonly tries: number;
  readonly error?: BuildError;
  readonly retryAfterMs?: number | undefined;
}

/** How long to wait before the next try; undefined: give up. */
export function retryDelay({ tries, error, retryAfterMs }: FailedTry, clock: Clock): number | undefined {
  const limit = error !== undefined && isUnreachable(error) ? MAX_TRIES_UNREACHABLE : MAX_TRIES;
  if (tries >= limit) return undefined;
  if (retryAfterMs !== undefined && retryAfterMs > LONGEST_WAIT_MS) return undefined;
  const backoff = FIRST_DELAY_MS * FACTOR ** (tries - 1) * (0.5 + clock.random() / 2);
  // Jitter on top of Retry-After, too: all clients of a runner pool get the same value.
  return Math.round(retryAfterMs === undefined ? backoff : retryAfterMs + backoff / 4);
}
