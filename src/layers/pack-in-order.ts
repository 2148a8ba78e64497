import { availableParallelism } from 'node:os';
import { type ByteStream, sha256 } from '../oci/index.ts';
import { type BlobPacking, keyFrom } from './packed-blocks.ts';

export interface PackOptions {
  /** Blocks at work at once; has no influence on the bytes. Default: one a core. */
  readonly concurrency?: number;
  /** Where blocks may be found packed; has no influence on the bytes. */
  readonly packing?: BlobPacking | undefined;
}

export interface PackJob {
  /** All that decides about the packed bytes; absent: they are not remembered. */
  readonly inputs?: readonly (Uint8Array | string)[] | undefined;
  pack(): Promise<Uint8Array>;
  /** The inputs are not needed any more. */
  free?(): void;
}

/** Packs blocks side by side, and gives them in order. */
export async function* packInOrder(
  jobs: AsyncIterable<PackJob>,
  { concurrency = availableParallelism(), packing }: PackOptions,
): ByteStream {
  const pending: { readonly key: string | undefined; readonly packed: Promise<Uint8Array> }[] = [];
  async function* finished(most: number): ByteStream {
    for (let next = pending[0]; next && pending.length > most; next = pending[0]) {
      const packed = await next.packed;
      packing?.passed(packed, next.key);
      pending.shift();
      yield packed;
    }
  }
  for await (const { inputs, pack, free } of jobs) {
    const key = packing && inputs && keyOf(inputs);
    const packed = packing && key !== undefined ? packing.find(key).then((found) => found ?? pack()) : pack();
    // Whoever leaves early leaves these unawaited.
    packed.then(free, () => undefined);
    pending.push({ key, packed });
    yield* finished(concurrency - 1);
  }
  yield* finished(0);
}

function keyOf(inputs: readonly (Uint8Array | string)[]): string {
  const hash = sha256();
  for (const input of inputs) hash.update(`${input.length}\n`).update(input);
  return keyFrom(hash);
}
