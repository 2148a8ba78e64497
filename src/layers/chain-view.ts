import { BuildError } from '../errors.ts';
import type { MergedTree } from './merged-tree.ts';
import type { RootEntry, RootView } from './root-view.ts';

/** Look-ups in a chain, whatever forms its layers have. */
export class ChainView implements RootView {
  readonly #tree: MergedTree;

  constructor(tree: MergedTree) {
    this.#tree = tree;
  }

  lstat(path: string): RootEntry | undefined {
    return this.#tree.lookup(path.slice(1))?.entry;
  }

  list(path: string): readonly string[] {
    return this.#tree.list(path.slice(1));
  }

  async readFile(path: string, limitBytes: number): Promise<Uint8Array | undefined> {
    const found = this.#tree.lookup(path.slice(1));
    if (found?.entry.type !== 'file') return undefined;
    if (found.entry.size > limitBytes) {
      throw new BuildError(
        'E_SIZE_MISMATCH',
        `Cannot read "${path}" of the image: it is larger than ${limitBytes} bytes`,
        {
          fields: { size: found.entry.size, limit: limitBytes },
        },
      );
    }
    return found.layer.readFile(found.source);
  }
}
