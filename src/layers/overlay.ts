import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Layer, LayerIndex } from '../oci/index.ts';
import type { LayerDirectories } from './layer-directories.ts';
import type { LayerWorkers } from './layer-workers.ts';
import type { ActiveSnapshot, CommitOptions, CommittedLayer, Mount, Snapshotter, ViewSnapshot } from './snapshot.ts';
import { TAR_END } from './tar/index.ts';

/**
 * One directory a layer, put together by the kernel. A snapshot is an upper directory; committing renames it to a layer: nothing
 * is copied. It only says what to mount; mounting is the sandbox's business.
 */
export class OverlaySnapshotter implements Snapshotter {
  readonly name = 'overlay';
  readonly #directories: LayerDirectories;
  readonly #index: LayerIndex;

  constructor(directories: LayerDirectories, index: LayerIndex) {
    this.#directories = directories;
    this.#index = index;
  }

  async prepare(chain: readonly Layer[]): Promise<ActiveSnapshot> {
    const { layers, lower, active } = await this.#open(chain);
    try {
      await this.#directories.workers.run<'prepare'>({
        kind: 'prepare',
        layers,
        directory: active,
        owners: this.#directories.owners,
      });
      const [upper, work] = [join(active, 'upper'), join(active, 'work')];
      const mount: Mount = { type: 'overlay', source: 'overlay', lower, upper, work };
      return new OverlayActive(this.#directories, this.#index, { active, layers, mount });
    } catch (error) {
      await this.#directories.remove([active]);
      throw error;
    }
  }

  async view(chain: readonly Layer[]): Promise<ViewSnapshot> {
    const { lower, active } = await this.#open(chain);
    const dispose = () => this.#directories.remove([active]);
    // Overlay wants an upper or two lower directories: the empty one below makes two of one.
    const [only] = lower;
    if (lower.length === 1 && only) return { mount: readOnlyBind(only), [Symbol.asyncDispose]: dispose };
    const mount: Mount = { type: 'overlay', source: 'overlay', readOnly: true, lower };
    return { mount, [Symbol.asyncDispose]: dispose };
  }

  /** `lower`: what to mount, with an empty directory at the bottom. */
  async #open(chain: readonly Layer[]) {
    const layers = await this.#directories.materialize(chain);
    const completion = await this.#directories.completion(chain, layers);
    const active = await this.#directories.createActive();
    const empty = join(active, 'empty');
    await mkdir(empty, { mode: 0o755 });
    const lower = [...(completion ? [completion] : []), ...layers.map((layer) => join(layer, 'fs')), empty];
    return { layers, lower, active };
  }
}

const readOnlyBind = (source: string): Mount => ({ type: 'bind', source, readOnly: true });

interface Prepared {
  readonly active: string;
  readonly layers: readonly string[];
  readonly mount: Mount;
}

class OverlayActive implements ActiveSnapshot {
  readonly mount: Mount;
  readonly #directories: LayerDirectories;
  readonly #index: LayerIndex;
  readonly #prepared: Prepared;

  constructor(directories: LayerDirectories, index: LayerIndex, prepared: Prepared) {
    this.mount = prepared.mount;
    this.#directories = directories;
    this.#index = index;
    this.#prepared = prepared;
  }

  async commit({ exclude, mtimeRule }: CommitOptions): Promise<CommittedLayer> {
    const { active, layers } = this.#prepared;
    return commitUpper({ directories: this.#directories, index: this.#index, active, layers, exclude, mtimeRule });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#directories.remove([this.#prepared.active]);
  }
}

/** There are thousands of files then. */
const LONG_FREEZE_MS = 60;

/** Has the disk begin with what the end of the build waits for, while it is hashed. */
function beginSync(workers: LayerWorkers, active: string): void {
  workers.run<'settle'>({ kind: 'settle', layers: [], others: [active] }).catch(() => undefined); // the end will tell
}

interface Committing extends CommitOptions {
  readonly directories: LayerDirectories;
  readonly index: LayerIndex;
  readonly active: string;
  readonly layers: readonly string[];
}

/** Turns `active/upper` into a layer's directory; the rest of `active` stays for its owner to remove. */
export async function commitUpper(committing: Committing): Promise<CommittedLayer> {
  const { directories, index, active, layers, exclude, mtimeRule } = committing;
  const upper = join(active, 'upper');
  const { owners, workers } = directories;
  const early = setTimeout(() => beginSync(workers, active), LONG_FREEZE_MS);
  const freezing = workers.run<'freeze'>({ kind: 'freeze', upper, layers, exclude, mtimeRule, owners });
  const { diffId, meta } = await freezing.finally(() => clearTimeout(early));
  const made = await directories.createActive();
  await rename(upper, join(made, 'fs'));
  await directories.keep(made, diffId, meta);
  await index.add({ diffId, tarSize: meta.tarSize, blobs: [] });
  return { diffId, sizeBytes: meta.tarSize, isEmpty: meta.tarSize === TAR_END.byteLength };
}
