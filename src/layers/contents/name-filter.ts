import { randomInt } from 'node:crypto';

const BITS_A_NAME = 10;
const PROBES = 5;
/** Nobody can make names that all look as if they were there. */
const SEED = randomInt(2 ** 32);

/** Tells of most names that they are not in a set, without looking (a Bloom filter: 1 % of the others pass). */
export class NameFilter {
  readonly #bits: Uint8Array;

  constructor(names: number) {
    this.#bits = new Uint8Array(Math.ceil((names * BITS_A_NAME) / 8) + 1);
  }

  add(name: string): void {
    const [start, step] = hashes(name);
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = this.#bitAt(start, step, probe);
      this.#bits[bit >>> 3] = (this.#bits[bit >>> 3] ?? 0) | (1 << (bit & 7));
    }
  }

  mayHave(name: string): boolean {
    const [start, step] = hashes(name);
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = this.#bitAt(start, step, probe);
      if (((this.#bits[bit >>> 3] ?? 0) & (1 << (bit & 7))) === 0) return false;
    }
    return true;
  }

  #bitAt(start: number, step: number, probe: number): number {
    return ((start + Math.imul(probe, step)) >>> 0) % (this.#bits.length * 8);
  }
}

/** Two numbers of 32 bits, the second one odd. */
function hashes(name: string): readonly [number, number] {
  let [one, two] = [SEED, ~SEED];
  for (let index = 0; index < name.length; index++) {
    const unit = name.charCodeAt(index);
    one = Math.imul(one ^ unit, 0x01000193);
    two = Math.imul(two ^ unit, 0x85ebca6b) ^ (two >>> 13);
  }
  return [one, two | 1];
}
