import type { Layer } from '../oci/index.ts';
import type { ActiveSnapshot, Snapshotter, ViewSnapshot } from './snapshot.ts';

/** Chooses between snapshotters when the first root is needed: to know which one works here, something must be mounted. */
export class ChosenSnapshotter implements Snapshotter {
  readonly #choose: () => Snapshotter;
  #chosen: Snapshotter | undefined;

  constructor(choose: () => Snapshotter) {
    this.#choose = choose;
  }

  get name(): Snapshotter['name'] {
    return this.#snapshotter().name;
  }

  prepare(chain: readonly Layer[]): Promise<ActiveSnapshot> {
    return this.#snapshotter().prepare(chain);
  }

  view(chain: readonly Layer[]): Promise<ViewSnapshot> {
    return this.#snapshotter().view(chain);
  }

  #snapshotter(): Snapshotter {
    this.#chosen ??= this.#choose();
    return this.#chosen;
  }
}
