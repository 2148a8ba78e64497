const HIGH = 0x80;

/** Bytes that grow: numbers as 7 bits a byte, lowest first (LEB128). What was taken is overwritten by what comes next. */
export class Packer {
  #bytes = Buffer.allocUnsafe(16 * 1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** A whole number from 0 to 2^53. */
  number(value: number): this {
    this.#reserve(8);
    let left = value;
    for (; left >= 2 ** 31; left = Math.floor(left / HIGH)) this.#bytes[this.#length++] = (left % HIGH) | HIGH;
    for (; left >= HIGH; left >>>= 7) this.#bytes[this.#length++] = (left & 0x7f) | HIGH;
    this.#bytes[this.#length++] = left;
    return this;
  }

  double(value: number): this {
    this.#reserve(8);
    this.#length = this.#bytes.writeDoubleLE(value, this.#length);
    return this;
  }

  /** Well-formed text, with its length before it. */
  text(text: string): this {
    const size = Buffer.byteLength(text);
    this.number(size).#reserve(size);
    this.#length += this.#bytes.write(text, this.#length);
    return this;
  }

  /** With their length before them. */
  bytes(bytes: Uint8Array): this {
    this.number(bytes.length).#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    return taken;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#length + more));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** Reads what a Packer made, in the same order. */
export class Unpacker {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  number(): number {
    let value = 0;
    for (let unit = 1; ; unit *= HIGH) {
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * unit;
      if (byte < HIGH) return value;
    }
  }

  double(): number {
    this.#at += 8;
    return this.#bytes.readDoubleLE(this.#at - 8);
  }

  text(): string {
    const size = this.number();
    this.#at += size;
    return this.#bytes.toString('utf8', this.#at - size, this.#at);
  }

  /** A view. */
  bytes(): Buffer {
    const size = this.number();
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }
}
