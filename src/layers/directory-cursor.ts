import { closeSync, constants, lstatSync, openSync, readlinkSync } from 'node:fs';
import { BuildError, systemErrorCode } from '../errors.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
/** Linux follows as many (MAXSYMLINKS). */
const MAX_LINKS = 40;
/** One descriptor a level stays open. */
const MAX_DEPTH = 512;

interface Level {
  readonly name: string;
  readonly fd: number;
}

/** What a directory was found or made as. */
export interface OpenDirectory {
  readonly fd: number;
  /** Relative to the root, without symlinks. */
  readonly path: string;
}

/** Makes the missing directory `path` (relative to the root) at `at`, or throws. */
export type MakeDirectory = (at: string, path: string) => void;

/** The path of a child of an open directory: nothing that happens above it can lead the call astray. */
export const childOf = (fd: number, name: string): string => `/proc/self/fd/${fd}/${name}`;

/**
 * Walks directories below a root by descriptors: each level is opened in its parent without following links, so a path can
 * never leave the root, whatever earlier entries put there. Neighbouring paths cost one `open` a changed level.
 * Symlinks are expanded by us, with the root as `/`.
 */
export class DirectoryCursor {
  readonly #root: number;
  readonly #levels: Level[] = [];
  #last: { readonly asked: string; readonly found: OpenDirectory } | undefined;

  constructor(root: string) {
    this.#root = openSync(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }

  /**
   * Opens a directory by the path that an archive uses for it (`''`: the root). `make` is called for one that is missing: it
   * makes it, or throws; without it the answer is undefined. The descriptor is good until the next call.
   */
  open(path: string, make?: MakeDirectory): OpenDirectory | undefined {
    if (this.#last?.asked === path) return this.#last.found;
    const { found, links } = this.#resolve(path, make);
    // A later entry may replace a link without a word to `forget`, so a way over links is walked anew.
    this.#last = found && links === 0 ? { asked: path, found } : undefined;
    return found;
  }

  /** To be called before the directory at this (resolved) path is removed or renamed. */
  forget(path: string): void {
    this.#last = undefined;
    const names = path === '' ? [] : path.split('/');
    if (names.every((name, level) => this.#levels[level]?.name === name)) this.#shorten(Math.max(0, names.length - 1));
  }

  close(): void {
    this.#shorten(0);
    closeSync(this.#root);
  }

  #resolve(path: string, make: MakeDirectory | undefined): { readonly found?: OpenDirectory; readonly links: number } {
    let rest = path === '' ? [] : path.split('/');
    let depth = 0;
    let links = 0;
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        depth = Math.max(0, depth - 1);
        continue;
      }
      const step = this.#descend(depth, name, make);
      if (step === undefined) return { links };
      if (step === 'entered') depth++;
      else {
        if (++links > MAX_LINKS) throw refused(path, 'its symbolic links form a loop');
        if (step.link.startsWith('/')) depth = 0;
        rest = [...step.link.split('/'), ...rest];
      }
    }
    this.#shorten(depth);
    return { found: { fd: this.#fdAt(depth), path: this.#pathAt(depth) }, links };
  }

  /** Enters `name` in the directory at `depth`, or says where it points. */
  #descend(
    depth: number,
    name: string,
    make: MakeDirectory | undefined,
  ): 'entered' | { readonly link: string } | undefined {
    if (this.#levels[depth]?.name === name) return 'entered';
    this.#shorten(depth);
    const path = this.#pathAt(depth);
    const full = path === '' ? name : `${path}/${name}`;
    if (depth >= MAX_DEPTH) throw refused(full, `it is more than ${MAX_DEPTH} directories deep`);
    const at = childOf(this.#fdAt(depth), name);
    const fd = openDirectory(at) ?? this.#openMissing(at, full, make);
    if (typeof fd !== 'number') return fd;
    this.#levels.push({ name, fd });
    return 'entered';
  }

  #openMissing(
    at: string,
    path: string,
    make: MakeDirectory | undefined,
  ): number | { readonly link: string } | undefined {
    const stats = lstatSync(at, { throwIfNoEntry: false });
    if (stats?.isSymbolicLink()) return { link: readlinkSync(at) };
    if (!make) return undefined;
    make(at, path);
    return openDirectory(at) ?? undefined;
  }

  #shorten(depth: number): void {
    while (this.#levels.length > depth) {
      const level = this.#levels.pop();
      if (level) closeSync(level.fd);
    }
  }

  #fdAt(depth: number): number {
    return depth === 0 ? this.#root : (this.#levels[depth - 1]?.fd ?? this.#root);
  }

  #pathAt(depth: number): string {
    return this.#levels
      .slice(0, depth)
      .map(({ name }) => name)
      .join('/');
  }
}

/** undefined: there is none, or it is no directory. */
function openDirectory(path: string): number | undefined {
  try {
    return openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined;
    throw error;
  }
}

/** Refuses an entry of a layer that cannot be what it says. */
export const refused = (path: string, why: string, cause?: unknown): BuildError =>
  new BuildError('E_BAD_LAYER', `Cannot apply the layer's entry ${JSON.stringify(path.slice(0, 300))}: ${why}`, {
    hint: 'The layer is damaged or hostile; get the image from elsewhere',
    cause,
  });
