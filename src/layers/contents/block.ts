import { Packer, Unpacker } from './packed.ts';

/** A name and what is kept under it. */
export interface Row {
  readonly key: string;
  /** Good until the next row is asked for. */
  readonly value: Buffer;
}

/** Blocks are cut where they reach this size. One row may be larger. */
const BLOCK_BYTES = 8192;

/**
 * Rows in ascending order (of JavaScript's strings) become bytes: of each key only what differs from the one before it. Keys have to
 * be well-formed. A row: characters shared, the rest, the value.
 */
export class BlockBuilder {
  readonly #packer = new Packer();
  #rows = 0;
  #first = '';
  #last = '';

  get rows(): number {
    return this.#rows;
  }

  /** At least two rows each, so that blocks of pointers to blocks become fewer. */
  get isFull(): boolean {
    return this.#packer.length >= BLOCK_BYTES && this.#rows >= 2;
  }

  add(key: string, value: Uint8Array): void {
    const shared = this.#rows === 0 ? 0 : sharedLength(this.#last, key);
    this.#packer.number(shared).text(key.slice(shared)).bytes(value);
    if (this.#rows === 0) this.#first = key;
    this.#last = key;
    this.#rows++;
  }

  /** The finished block with its first key; the bytes are good until the next `add`. The builder begins anew. */
  take(): { readonly first: string; readonly bytes: Buffer } {
    this.#rows = 0;
    return { first: this.#first, bytes: this.#packer.take() };
  }
}

function sharedLength(one: string, other: string): number {
  const most = Math.min(one.length, other.length);
  // names of one directory, mostly
  const directory = one.lastIndexOf('/') + 1;
  let shared = directory <= most && other.startsWith(one.slice(0, directory)) ? directory : 0;
  while (shared < most && one.charCodeAt(shared) === other.charCodeAt(shared)) shared++;
  // half of a surrogate pair has no bytes of its own
  const isCut = shared > 0 && (one.charCodeAt(shared - 1) & 0xfc00) === 0xd800;
  return isCut ? shared - 1 : shared;
}

/** The rows of a block that `BlockBuilder` made. */
export class Block {
  readonly keys: readonly string[];
  readonly values: readonly Buffer[];
  readonly byteLength: number;

  constructor(bytes: Buffer) {
    const keys: string[] = [];
    const values: Buffer[] = [];
    const unpacker = new Unpacker(bytes);
    for (let key = ''; !unpacker.isAtEnd; ) {
      key = key.slice(0, unpacker.number()) + unpacker.text();
      keys.push(key);
      values.push(unpacker.bytes());
    }
    this.keys = keys;
    this.values = values;
    this.byteLength = bytes.length;
  }

  /** The first row whose key is not less; as many as there are rows: none. */
  lowerBound(key: string): number {
    let [low, high] = [0, this.keys.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.keys[middle] ?? '') < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  rowAt(index: number): Row | undefined {
    const [key, value] = [this.keys[index], this.values[index]];
    return key === undefined || value === undefined ? undefined : { key, value };
  }
}
