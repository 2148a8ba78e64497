import { BuildError } from '../errors.ts';
import type { Descriptor } from './descriptor.ts';
import { type DiffId, diffIdFrom, digestFrom, sha256 } from './digest.ts';
import { bytesPassed } from './garbage.ts';
import type { ByteStream } from './ports.ts';

/**
 * Passes bytes on and fails at the first byte too many, or at the end if size or digest differ.
 * A consumer that stops early has not verified anything.
 */
export async function* verify(
  bytes: ByteStream,
  expected: Pick<Descriptor, 'digest' | 'size'>,
  what = 'blob',
): ByteStream {
  const hash = sha256();
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.byteLength;
    if (size > expected.size) break;
    hash.update(chunk);
    yield chunk;
    bytesPassed(chunk.byteLength);
  }
  if (size !== expected.size) {
    throw new BuildError('E_SIZE_MISMATCH', `Wrong size of ${what} ${expected.digest}`, {
      hint: 'The source is damaged or lies; fetch it again or from elsewhere',
      fields: { expected: expected.size, actual: size },
    });
  }
  const actual = digestFrom(hash);
  if (actual !== expected.digest) throw digestMismatch(what, expected.digest, actual);
}

/** What a stream compares itself with. */
const proofs = new WeakMap<ByteStream, Pick<Descriptor, 'digest' | 'size'>>();

/** Says of a stream that it ends with the comparison with `expected`, so that whoever keeps it need not hash it again. */
export function provingItself(bytes: ByteStream, expected: Pick<Descriptor, 'digest' | 'size'>): ByteStream {
  proofs.set(bytes, expected);
  return bytes;
}

/** `verify`, unless the stream does the same by itself. */
export function verifyOnce(bytes: ByteStream, expected: Pick<Descriptor, 'digest' | 'size'>): ByteStream {
  const proof = proofs.get(bytes);
  return proof?.digest === expected.digest && proof.size === expected.size ? bytes : verify(bytes, expected);
}

/** The same for a layer's tar, whose size nobody declares. */
export async function* verifyDiffId(bytes: ByteStream, expected: DiffId): ByteStream {
  const hash = sha256();
  for await (const chunk of bytes) {
    hash.update(chunk);
    yield chunk;
    bytesPassed(chunk.byteLength);
  }
  const actual = diffIdFrom(hash);
  if (actual !== expected) throw digestMismatch('layer (uncompressed)', expected, actual);
}

export function digestMismatch(what: string, expected: string, actual: string): BuildError {
  return new BuildError('E_DIGEST_MISMATCH', `Wrong digest of ${what}: expected ${expected}, got ${actual}`, {
    hint: 'The source is damaged or lies; fetch it again or from elsewhere',
    fields: { expected, actual },
  });
}

/** All bytes of a small stream. Throws `E_SIZE_MISMATCH` above `limit` bytes. */
export async function readAll(bytes: ByteStream, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.byteLength;
    if (size > limit) {
      throw new BuildError('E_SIZE_MISMATCH', `Refusing to read more than ${limit} bytes into memory`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
