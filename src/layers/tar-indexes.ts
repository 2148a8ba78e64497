import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../errors.ts';
import { type DiffId, hexOf, type Layer } from '../oci/index.ts';
import { newOwnedName } from './owner.ts';
import { buildTarIndex, decodeTarIndex, encodeTarIndex, type TarIndexEntry } from './tar/index.ts';

/** Indexes of layers' tars, made once and kept in `tar-index/HEX`. A cache: a lost or damaged one is made again. */
export class TarIndexes {
  readonly #root: string;

  constructor(stateDirectory: string) {
    this.#root = join(stateDirectory, 'tar-index');
  }

  async of(layer: Layer): Promise<readonly TarIndexEntry[]> {
    const known = await this.#read(layer.diffId);
    if (known) return known;
    const index = await buildTarIndex(layer.uncompressed());
    await this.keep(layer.diffId, index);
    return index;
  }

  async keep(diffId: DiffId, index: readonly TarIndexEntry[]): Promise<void> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    const temporary = join(this.#root, `.${newOwnedName()}`);
    await writeFile(temporary, encodeTarIndex(index), { mode: 0o600 });
    await rename(temporary, this.#pathOf(diffId));
  }

  async remove(diffId: DiffId): Promise<void> {
    await rm(this.#pathOf(diffId), { force: true });
  }

  async #read(diffId: DiffId): Promise<readonly TarIndexEntry[] | undefined> {
    try {
      return decodeTarIndex(await readFile(this.#pathOf(diffId)));
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === 'ENOENT' || code === 'E_CORRUPT_STORE') return undefined;
      throw error;
    }
  }

  #pathOf(diffId: DiffId): string {
    return join(this.#root, hexOf(diffId));
  }
}
