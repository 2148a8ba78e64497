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
/** `implied`: a directory that only its contents speak of; its attributes come from below. */
type SeenKind = Kind | 'implied';

/** What is already decided while the layers are read from the top down. */
class Seen {
  readonly #paths = new Map<string, SeenKind>();
  /** Names whose lower contents are hidden. */
  readonly #closed = new Set<string>();

  isHidden(path: string, kind: Kind): boolean {
    const known = this.#paths.get(path);
    if (known === 'directory' || known === 'other') return true;
    if (known === 'implied' && kind === 'other') return true;
    for (let at = path; at !== ''; ) {
      at = parentOf(at);
      if (this.#closed.has(at) || this.#paths.get(at) === 'other') return true;
    }
    return false;
  }

  add(path: string, kind: Kind): void {
    const known = this.#paths.get(path);
    if (known === undefined || known === 'implied') this.#paths.set(path, kind);
    this.imply(path);
  }

  /** What has contents is a directory, whether they are shown or not: a file of a lower layer is replaced. */
  imply(path: string): void {
    for (let at = parentOf(path); at !== ''; at = parentOf(at)) {
      const known = this.#paths.get(at);
      if (known === undefined) this.#paths.set(at, 'implied');
      else if (known !== 'other') return; // its parents are known too
    }
  }

  /** Nothing below shows through in it; its attributes still do. */
  close(path: string): void {
    this.#closed.add(path);
  }

  /** Nothing below shows through, under this name or in it. */
  end(path: string): void {
    const known = this.#paths.get(path) ?? 'other';
    this.#paths.set(path, known === 'implied' ? 'directory' : known);
    this.#closed.add(path);
  }
}

const parentOf = (path: string): string => (path.includes('/') ? posix.dirname(path) : '');

/**
 * The root filesystem of a stack of layers (base first) as one archive without whiteouts: what `-o type=tar` and
 * `type=local` write. Reads each layer once, the topmost first; only names are kept in memory. A hard link to a file
 * that a higher layer replaced or removed becomes a file of its own. Throws `E_BAD_LAYER`.
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
  const ended: string[] = [];
  const closed: string[] = [];
  const hidden: string[] = [];
  const here = new Map<string, Kind>();
  for await (const { entry, body } of decodeTar(layer.uncompressed())) {
    const marker = parseMarker(posix.basename(entry.path));
    if (marker?.kind === 'opaque') closed.push(parentOf(entry.path));
    if (marker?.kind === 'whiteout') ended.push(posix.join(parentOf(entry.path), marker.name));
    const kind = entry.type === 'directory' ? 'directory' : 'other';
    if (marker === undefined && !seen.isHidden(entry.path, kind)) {
      const isLost = entry.type === 'hardlink' && !here.has(entry.linkname);
      here.set(entry.path, kind);
      if (isLost) yield* fileOf(entry, layers);
      else yield { entry, body };
    } else if (marker === undefined) {
      hidden.push(entry.path);
      if (kind === 'other') ended.push(entry.path); // so a directory that a higher layer made has nothing from below
    }
  }
  for (const [path, kind] of here) seen.add(path, kind);
  for (const path of hidden) seen.imply(path);
  for (const path of ended) seen.end(path);
  for (const path of closed) seen.close(path);
}

type HardLink = Extract<TarEntry, { readonly type: 'hardlink' }>;

/** The file that a link means, under the link's name. */
async function* fileOf(link: HardLink, layers: readonly Layer[]): AsyncIterable<FlatEntry> {
  const names = new Set<string>();
  let wanted = link.linkname;
  let at = layers.length - 1;
  for (let layer = layers[at]; layer; layer = layers[at]) {
    let next: string | undefined;
    for await (const { entry, body } of decodeTar(layer.uncompressed())) {
      if (entry.path === wanted && entry.type === 'hardlink') next = entry.linkname;
      if (entry.path === wanted && entry.type !== 'hardlink' && entry.type !== 'directory') {
        yield { entry: { ...entry, path: link.path }, body };
        return;
      }
    }
    // a link to a link: its own target comes before it, in this layer or below
    if (next !== undefined && !names.has(next)) {
      names.add(next);
      wanted = next;
    } else at--;
  }
  throw new BuildError(
    'E_BAD_LAYER',
    `Cannot flatten the image: "${link.path}" links to "${link.linkname}", which is not there`,
    { hint: 'The image is damaged; get it from elsewhere' },
  );
}
