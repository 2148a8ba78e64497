import { existsSync, rmSync, statSync } from 'node:fs';
import { BuildError } from '../errors.ts';
import type { DiffId, Layer, LayerSource } from '../oci/index.ts';
import { hasBeginning } from './contents/sorted-file.ts';
import type { LayerDirectories } from './layer-directories.ts';
import { type LayerMeta, readMeta } from './layer-meta.ts';
import { TarIndexes } from './tar-indexes.ts';
import { hasSameBytes } from './unchanged.ts';
import { isFromLostBoot } from './unsettled.ts';

/** absent: nothing to check. unproved: nothing is left that it could be compared with. */
export type LayerState = 'absent' | 'sound' | 'damaged' | 'unproved';

/** Compares the derived forms of layers with what they were derived from. Reads every byte; inside the namespace only. */
export class LayerCheck {
  readonly #directories: LayerDirectories;
  readonly #layers: LayerSource;
  readonly #indexes: TarIndexes;

  constructor(stateDirectory: string, directories: LayerDirectories, layers: LayerSource) {
    this.#directories = directories;
    this.#layers = layers;
    this.#indexes = new TarIndexes(stateDirectory);
  }

  /** What a step left must give the tar of its diffID; what was unpacked must be what unpacking gives. */
  async directory(diffId: DiffId): Promise<LayerState> {
    const path = this.#directories.pathOf(diffId);
    if (!existsSync(path) || isFromLostBoot(path)) return 'absent';
    const meta = knownMeta(path);
    if (!meta) return 'damaged';
    const actual = await this.#identify(path);
    if (actual === diffId) return 'sound';
    if (meta.kind === 'frozen' || actual === undefined) return 'damaged';
    return this.#compare(diffId, async (layer) => {
      const fresh = await this.#directories.unpack(layer);
      try {
        return (await this.#identify(fresh)) === actual && sameMeta(fresh, path);
      } finally {
        await this.#directories.remove([fresh]);
      }
    });
  }

  async tarIndex(diffId: DiffId): Promise<LayerState> {
    const path = this.#indexes.pathOf(diffId);
    if (!hasBeginning(path)) return 'absent';
    return this.#compare(diffId, async (layer) => {
      const fresh = await this.#indexes.make(layer);
      try {
        return statSync(fresh).size === statSync(path).size && hasSameBytes(fresh, path);
      } finally {
        rmSync(fresh);
      }
    });
  }

  async patch(diffId: DiffId): Promise<LayerState> {
    return this.#compare(diffId, async (layer) => {
      try {
        for await (const _ of layer.uncompressed());
        return true;
      } catch (error) {
        if (error instanceof BuildError && error.code === 'E_DIGEST_MISMATCH') return false;
        throw error;
      }
    });
  }

  async #compare(diffId: DiffId, isSame: (layer: Layer) => Promise<boolean>): Promise<LayerState> {
    const layer = await this.#layers.find(diffId);
    if (!layer) return 'unproved';
    try {
      return (await isSame(layer)) ? 'sound' : 'damaged';
    } catch (error) {
      // The blob is damaged, which is found by itself.
      if (error instanceof BuildError) return 'unproved';
      throw error;
    }
  }

  /** undefined: it cannot be read as a layer at all. */
  async #identify(path: string): Promise<DiffId | undefined> {
    return this.#directories.workers.run<'identify'>({ kind: 'identify', layer: path }).catch(() => undefined);
  }
}

function knownMeta(path: string): LayerMeta | undefined {
  try {
    return readMeta(path);
  } catch {
    // missing or damaged: both cannot be used
    return undefined;
  }
}

const sameMeta = (one: string, other: string): boolean =>
  JSON.stringify(readMeta(one)) === JSON.stringify(readMeta(other));
