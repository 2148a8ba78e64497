import { posix } from 'node:path';
import { BuildError } from '../errors.ts';
import type { ByteStream, Layer } from '../oci/index.ts';
import { decodeTar, type TarEntry } from './tar/index.ts';
import { parseMarker } from './whiteout.ts';

export interface FlatEntry {
  readonly entry: TarEntry;
  readonly body: ByteStream;
}

type Kind = 'directory' | 'other';

/** What is already decided while the layers are read from the top down. */
class Seen {
  readonly #paths = new Map<string, Kind>();
  /** Directories whose lower contents are hidden. */
  readonly #closed = new Set<string>();

  isHidden(path: string): boolean {
    if (this.#paths.has(path)) return true;
    for (let at = path; at !== ''; ) {
      at = parentOf(at);
      if (this.#closed.has(at) || this.#paths.get(at) === 'other') return true;
    }
    return false;
  }

  add(path: string, kind: Kind): void {
    this.#paths.set(path, kind);
  }

  close(directory: string): void {
    this.#closed.add(directory);
  }
}

const parentOf = (path: string): string => (path.includes('/') ? posix.dirname(path) : '');

/**
 * The root filesystem of a stack of layers (base first) as one archive without whiteouts: what `-o type=tar` and
 * `type=local` write. Reads each layer once, the topmost first; only names are kept in memory. A hard link to a file
 * that a higher layer replaced or removed becomes a file of its own.
 */
export async function* flattenLayers(layers: readonly Layer[]): AsyncIterable<FlatEntry> {
  const seen = new Seen();
  for (let top = layers.length; top > 0; top--) yield* flattenTop(layers.slice(0, top), seen);
}

/** The part of the topmost of `layers` that no layer above hides. */
async function* flattenTop(layers: readonly Layer[], seen: Seen): AsyncIterable<FlatEntry> {
  const layer = layers.at(-1);
  if (!layer) return;
  // deletions act on the layers below only, so they take effect after this one
  const removed: string[] = [];
  const closed: string[] = [];
  const here = new Map<string, Kind>();
  for await (const { entry, body } of decodeTar(layer.uncompressed())) {
    const marker = parseMarker(posix.basename(entry.path));
    if (marker?.kind === 'opaque') closed.push(parentOf(entry.path));
    if (marker?.kind === 'whiteout') removed.push(posix.join(parentOf(entry.path), marker.name));
    const isWanted = marker === undefined && !seen.isHidden(entry.path);
    if (isWanted) {
      const isLost = entry.type === 'hardlink' && !here.has(entry.linkname);
      here.set(entry.path, entry.type === 'directory' ? 'directory' : 'other');
      yield isLost ? await fileOf(entry, layers) : { entry, body };
    }
    for await (const _ of body) {
      // what was not wanted must pass all the same
    }
  }
  for (const [path, kind] of here) seen.add(path, kind);
  for (const path of removed) if (!here.has(path)) seen.add(path, 'other');
  for (const directory of closed) seen.close(directory);
}

/** The file that a link means, under the link's name. */
async function fileOf(link: Extract<TarEntry, { type: 'hardlink' }>, layers: readonly Layer[]): Promise<FlatEntry> {
  for (const layer of [...layers].reverse()) {
    const members = decodeTar(layer.uncompressed())[Symbol.asyncIterator]();
    for (let next = await members.next(); !next.done; next = await members.next()) {
      const { entry, body } = next.value;
      if (entry.path === link.linkname && entry.type === 'file') return { entry: { ...entry, path: link.path }, body };
      for await (const _ of body) {
        // pass over it
      }
    }
  }
  throw new BuildError(
    'E_BAD_LAYER',
    `Cannot flatten the image: "${link.path}" links to "${link.linkname}", which is not there`,
    {
      hint: 'The image is damaged; get it from elsewhere',
    },
  );
}
