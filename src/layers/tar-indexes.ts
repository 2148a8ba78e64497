import { closeSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemErrorCode } from '../errors.ts';
import { type ByteStream, type DiffId, hexOf, type Layer } from '../oci/index.ts';
import { SortedFile } from './contents/sorted-file.ts';
import { SortedTable } from './contents/sorted-table.ts';
import { SortedWriter } from './contents/sorted-writer.ts';
import { TreeMaker } from './contents/tree-maker.ts';
import { newOwnedName } from './owner.ts';

/**
 * Indexes of layers' tars (see TreeMaker), made once and kept in `tar-index/HEX`; looked up in their files. A cache: a lost or
 * damaged one is made again.
 */
export class TarIndexes {
  readonly #root: string;
  readonly #active: string;
  readonly #open = new Map<DiffId, Promise<SortedFile>>();

  constructor(stateDirectory: string) {
    this.#root = join(stateDirectory, 'tar-index');
    this.#active = join(stateDirectory, 'active');
  }

  /** Reads the whole layer where nobody has looked into it yet. */
  of(layer: Layer): Promise<SortedFile> {
    const { diffId } = layer;
    const opened = this.#open.get(diffId) ?? this.#openOrMake(layer);
    this.#open.set(diffId, opened);
    opened.catch(() => this.#open.delete(diffId));
    return opened;
  }

  pathOf(diffId: DiffId): string {
    return join(this.#root, hexOf(diffId));
  }

  /** For a tar that passes by. Nothing is kept before it is known which layer it is. */
  begin(): IndexMaking {
    mkdirSync(this.#active, { recursive: true, mode: 0o700 });
    return new IndexMaking(() => join(this.#active, newOwnedName()));
  }

  /** Makes a layer's index once more, for whoever wants to compare, as a file that the caller removes. */
  async make(layer: Layer): Promise<string> {
    using making = this.begin();
    for await (const _ of making.watch(layer.uncompressed()));
    return making.write();
  }

  async #openOrMake(layer: Layer): Promise<SortedFile> {
    const known = this.#openKept(layer.diffId);
    if (known) return known;
    this.keep(await this.make(layer), layer.diffId);
    return this.#openKept(layer.diffId) ?? this.#openOrMake(layer);
  }

  /** A file that `make` or `IndexMaking.write` gave. */
  keep(file: string, diffId: DiffId): void {
    mkdirSync(this.#root, { recursive: true, mode: 0o700 });
    renameSync(file, this.pathOf(diffId));
  }

  #openKept(diffId: DiffId): SortedFile | undefined {
    const path = this.pathOf(diffId);
    try {
      const file = SortedFile.open(path, () => {
        rmSync(path, { force: true });
        this.#open.delete(diffId);
      });
      // what is damaged in the blocks that each look-up reads is found here, where it costs nobody a step
      file?.get('');
      return file;
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === 'ENOENT' || code === 'E_CORRUPT_STORE') return undefined;
      throw error;
    }
  }
}

/** An index on its way. */
export class IndexMaking implements Disposable {
  readonly #newPath: () => string;
  readonly #table: SortedTable;
  readonly #maker: TreeMaker;

  constructor(newPath: () => string) {
    this.#newPath = newPath;
    this.#table = new SortedTable(newPath);
    this.#maker = new TreeMaker(this.#table);
  }

  /** Passes the tar's bytes on. Throws `E_BAD_LAYER` where it is not whole, or not a layer. */
  async *watch(tar: ByteStream): ByteStream {
    for await (const chunk of tar) {
      this.#maker.push(chunk);
      yield chunk;
    }
    this.#maker.end();
  }

  /** After the last of the bytes: the file that has the index. */
  write(): string {
    const path = this.#newPath();
    const fd = openSync(path, 'wx', 0o600);
    try {
      const writer = new SortedWriter(fd);
      for (const { key, value } of this.#maker.rows()) writer.add(key, value);
      writer.finish();
      return path;
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    this.#table[Symbol.dispose]();
  }
}
