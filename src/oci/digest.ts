import { createHash, type Hash } from 'node:crypto';
import { BuildError } from '../errors.ts';

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** sha256 of stored bytes (a blob as it lies in the store or registry). */
export type Digest = Brand<`sha256:${string}`, 'Digest'>;
/** sha256 of a layer's uncompressed tar. */
export type DiffId = Brand<`sha256:${string}`, 'DiffId'>;
/** Names a stack of diffIDs (OCI image-spec, config.md "Layer ChainID"). */
export type ChainId = Brand<`sha256:${string}`, 'ChainId'>;
/** sha256 of an operation and the content of its inputs. */
export type CacheKey = Brand<`sha256:${string}`, 'CacheKey'>;

const SHA256 = /^sha256:[a-f0-9]{64}$/;

function checked(text: string, what: string): string {
  if (!SHA256.test(text)) {
    throw new BuildError('E_BAD_REFERENCE', `Invalid ${what} "${text.slice(0, 100)}"`, {
      hint: 'Only sha256 digests are supported: "sha256:" and 64 lower-case hexadecimal digits',
    });
  }
  return text;
}

/** Checks the form of a digest from outside. Throws `E_BAD_REFERENCE`. */
export const parseDigest = (text: string): Digest => checked(text, 'digest') as Digest;
export const parseDiffId = (text: string): DiffId => checked(text, 'diffID') as DiffId;
export const isDigest = (text: string): text is Digest => SHA256.test(text);

/** The 64 hex digits, for file names. */
export const hexOf = (digest: Digest | DiffId | ChainId | CacheKey): string => digest.slice(7);

export const sha256 = (): Hash => createHash('sha256');
const finish = (hash: Hash): string => `sha256:${hash.digest('hex')}`;

export const digestOf = (bytes: Uint8Array | string): Digest => finish(sha256().update(bytes)) as Digest;
/** Ends `hash`; the caller says which of the kinds it computed. */
export const digestFrom = (hash: Hash): Digest => finish(hash) as Digest;
export const diffIdFrom = (hash: Hash): DiffId => finish(hash) as DiffId;
export const cacheKeyFrom = (canonical: string): CacheKey => finish(sha256().update(canonical)) as CacheKey;
/** An uncompressed layer blob's digest and diffID are the same bytes' hash. */
export const asDigest = (diffId: DiffId): Digest => diffId as string as Digest;

/** ChainID of a stack, base first; undefined for the empty stack (`scratch`). */
export function chainIdOf(diffIds: readonly DiffId[]): ChainId | undefined {
  let chain: string | undefined;
  for (const diffId of diffIds) {
    chain = chain === undefined ? diffId : finish(sha256().update(`${chain} ${diffId}`));
  }
  return chain as ChainId | undefined;
}
