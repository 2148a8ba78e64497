import { lstatSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { BuildError, systemErrorCode } from '../errors.ts';
import { entryAt } from './file-entry.ts';
import type { LayerMeta } from './layer-meta.ts';
import type { LayerNode, LayerTree } from './layer-tree.ts';
import type { Owners } from './ownership.ts';
import { isOpaque, isWhiteout } from './whiteout.ts';

/** A layer that lies in a directory. Throws `E_STORE` where the process may not look: files of sub-ids, seen from outside the namespace. */
export class DirectoryTree implements LayerTree {
  readonly isOpaqueRoot: boolean;
  readonly #root: string;
  readonly #implicit: ReadonlySet<string>;
  readonly #links: ReadonlyMap<string, string>;
  readonly #owners: Owners;
  #rootNode: LayerNode | undefined;

  constructor(root: string, meta: Pick<LayerMeta, 'implicit' | 'links' | 'opaqueRoot' | 'owners'>) {
    this.#root = root;
    this.#implicit = new Set(meta.implicit);
    this.#links = new Map(meta.links.map(({ path, linkname }) => [path, linkname]));
    this.isOpaqueRoot = meta.opaqueRoot;
    this.#owners = meta.owners ?? 'real';
  }

  /** For system calls; valid for paths whose parents are directories in this layer. */
  pathOf(path: string): string {
    return path === '' ? this.#root : `${this.#root}/${path}`;
  }

  lookup(path: string): LayerNode | undefined {
    if (path !== '') return this.#look(path);
    this.#rootNode ??= this.#look('');
    return this.#rootNode;
  }

  #look(path: string): LayerNode | undefined {
    const linkname = this.#links.get(path);
    if (linkname !== undefined) return { kind: 'link', linkname };
    const at = this.pathOf(path);
    return explained(at, () => {
      const stats = lstatSync(at, { throwIfNoEntry: false });
      if (!stats) return undefined;
      if (isWhiteout(at, stats)) return { kind: 'whiteout' };
      const entry = entryAt(at, path, { owners: this.#owners, stats });
      if (!entry) return undefined;
      const isDirectory = entry.type === 'directory';
      return {
        kind: 'entry',
        entry,
        isImplicit: isDirectory && this.#implicit.has(path),
        isOpaque: isDirectory && path !== '' && isOpaque(at),
      };
    });
  }

  list(path: string): readonly string[] {
    const at = this.pathOf(path);
    const names = explained(at, () => readdirSync(at));
    const prefix = path === '' ? '' : `${path}/`;
    const links = [...this.#links.keys()].filter(
      (link) => link.lastIndexOf('/') === prefix.length - 1 && link.startsWith(prefix),
    );
    return links.length === 0 ? names : [...names, ...links.map((link) => link.slice(prefix.length))];
  }

  async readFile(path: string): Promise<Uint8Array> {
    return readFile(this.pathOf(path));
  }
}

function explained<T>(at: string, look: () => T): T {
  try {
    return look();
  } catch (cause) {
    const code = systemErrorCode(cause);
    if (code !== 'EACCES' && code !== 'EPERM') throw cause;
    throw new BuildError('E_STORE', `Cannot look into the layer at "${at}": ${code}`, {
      hint: 'Its files belong to other ids of your user namespace; this has to run inside of it',
      cause,
    });
  }
}
