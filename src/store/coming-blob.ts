import type { FileGrowth } from '../oci/index.ts';

/** Bytes between two words to who reads along. */
const STEP_BYTES = 512 * 1024;

/** A file that is being written, for those who read it meanwhile. */
export class GrowingFile {
  readonly path: string;
  readonly #listeners: ((size: number) => void)[] = [];
  #size = 0;
  #told = 0;

  constructor(path: string) {
    this.path = path;
  }

  grow(size: number): void {
    this.#size = size;
    if (size - this.#told < STEP_BYTES) return;
    this.#told = size;
    for (const listener of this.#listeners) listener(size);
  }

  watch(listener: (size: number) => void): void {
    this.#listeners.push(listener);
    listener(this.#size);
  }
}

/** A blob on its way into the store, by one file after another until one of them is whole. */
export class ComingBlob {
  /** Resolves when it is here. */
  readonly arrived: Promise<void>;
  readonly #begun: Promise<GrowingFile | undefined>;
  #file: GrowingFile | undefined;

  /** `fetch` writes the blob; it tells of each file that it tries and how much of it there is. */
  constructor(fetch: (onGrow: (path: string, size: number) => void) => Promise<void>) {
    let begin: (file: GrowingFile | undefined) => void = () => undefined;
    this.#begun = new Promise((resolve) => {
      begin = resolve;
    });
    this.arrived = fetch((path, size) => {
      if (this.#file?.path !== path) this.#file = new GrowingFile(path);
      this.#file.grow(size);
      begin(this.#file);
    }).finally(() => begin(undefined));
    this.arrived.catch(() => undefined); // told to whoever awaits it
  }

  /** The file that is written now; undefined: it ended before anything was written. */
  async growth(): Promise<(FileGrowth & { readonly path: string }) | undefined> {
    const file = (await this.#begun) && this.#file;
    if (!file) return undefined;
    const whole = this.arrived.then(() => (this.#file === file ? 'here' : 'elsewhere'));
    whole.catch(() => undefined); // as above
    return { path: file.path, watch: (listener) => file.watch(listener), whole };
  }
}
