import { join } from 'node:path';
import type { Layer, LayerIndex } from '../oci/index.ts';
import type { LayerDirectories } from './layer-directories.ts';
import { commitUpper } from './overlay.ts';
import type { ActiveSnapshot, CommitOptions, CommittedLayer, Mount, Snapshotter, ViewSnapshot } from './snapshot.ts';

/**
 * Where overlay cannot be mounted: a snapshot is a full copy of the chain's tree (sharing blocks where the filesystem can), a
 * commit moves what changed into a layer. The layers themselves lie on disk as with overlay.
 */
export class DirectorySnapshotter implements Snapshotter {
  readonly name = 'directory';
  readonly #directories: LayerDirectories;
  readonly #index: LayerIndex;

  constructor(directories: LayerDirectories, index: LayerIndex) {
    this.#directories = directories;
    this.#index = index;
  }

  async prepare(chain: readonly Layer[]): Promise<ActiveSnapshot> {
    const copy = await this.#copy(chain, true);
    return new DirectoryActive(this.#directories, this.#index, copy);
  }

  async view(chain: readonly Layer[]): Promise<ViewSnapshot> {
    const { active, root } = await this.#copy(chain, false);
    const mount: Mount = { type: 'bind', source: root, readOnly: true };
    return { mount, [Symbol.asyncDispose]: () => this.#directories.remove([active]) };
  }

  async #copy(chain: readonly Layer[], isForDiff: boolean): Promise<Copy> {
    const layers = await this.#directories.materialize(chain);
    const active = await this.#directories.createActive();
    const root = join(active, 'root');
    try {
      const since = await this.#directories.workers.run<'copy'>({
        kind: 'copy',
        layers,
        target: root,
        isForDiff,
        owners: this.#directories.owners,
      });
      return { active, root, layers, since };
    } catch (error) {
      await this.#directories.remove([active]);
      throw error;
    }
  }
}

interface Copy {
  readonly active: string;
  readonly root: string;
  readonly layers: readonly string[];
  readonly since: bigint;
}

class DirectoryActive implements ActiveSnapshot {
  readonly mount: Mount;
  readonly #directories: LayerDirectories;
  readonly #index: LayerIndex;
  readonly #copy: Copy;

  constructor(directories: LayerDirectories, index: LayerIndex, copy: Copy) {
    this.mount = { type: 'bind', source: copy.root };
    this.#directories = directories;
    this.#index = index;
    this.#copy = copy;
  }

  async commit({ exclude, mtimeRule }: CommitOptions): Promise<CommittedLayer> {
    const { active, root, layers, since } = this.#copy;
    const directories = this.#directories;
    const { owners, workers } = directories;
    await workers.run<'diff'>({ kind: 'diff', root, layers, since, upper: join(active, 'upper'), owners });
    return commitUpper({ directories, index: this.#index, active, layers, exclude, mtimeRule });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#directories.remove([this.#copy.active]);
  }
}
