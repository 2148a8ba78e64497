import { BuildError } from '../errors.ts';
import type { Layer } from '../oci/index.ts';
import { decodePlace, type Place } from './contents/place.ts';
import type { SortedFile } from './contents/sorted-file.ts';
import type { LayerNode, LayerTree } from './layer-tree.ts';
import { decodeTar } from './tar/index.ts';

const AFTER_SLASH = String.fromCharCode('/'.charCodeAt(0) + 1);

/** A layer that lies in a tar, by its index (see TreeMaker): the same tree that unpacking it would give. */
export class TarTree implements LayerTree {
  readonly isOpaqueRoot: boolean;
  readonly #layer: Layer;
  readonly #index: SortedFile;

  constructor(layer: Layer, index: SortedFile) {
    this.#layer = layer;
    this.#index = index;
    const root = this.#placeAt('')?.node;
    this.isOpaqueRoot = root?.kind === 'entry' && root.isOpaque;
  }

  lookup(path: string): LayerNode | undefined {
    const node = this.#placeAt(path)?.node;
    return path === '' && node?.kind === 'entry' ? { ...node, isOpaque: false } : node;
  }

  list(path: string): readonly string[] {
    const prefix = path === '' ? '' : `${path}/`;
    const names: string[] = [];
    for (let next = `${prefix}\x01`; ; ) {
      const key = this.#index.first(next)?.key;
      if (!key?.startsWith(prefix)) return names;
      const slash = key.indexOf('/', prefix.length);
      if (slash < 0) {
        names.push(key.slice(prefix.length));
        next = `${key}\0`;
      } else next = key.slice(0, slash) + AFTER_SLASH; // all that is in a directory, which came before it
    }
  }

  /** Reads the layer up to the file; what lies in the store was verified when it came there. */
  async readFile(path: string): Promise<Uint8Array> {
    const { node, bytes } = this.#placeAt(path) ?? {};
    if (node?.kind !== 'entry' || node.entry.type !== 'file' || !bytes) throw missing(path);
    if ('member' in bytes) return this.#readMember(path, bytes.member);
    return readRange(this.#layer, { start: bytes.offset, end: bytes.offset + node.entry.size });
  }

  #placeAt(path: string): Place | undefined {
    const value = this.#index.get(path);
    return value && decodePlace(value, path);
  }

  async #readMember(path: string, wanted: number): Promise<Uint8Array> {
    let member = 0;
    for await (const { body } of decodeTar(this.#layer.uncompressed())) {
      if (member++ < wanted) continue;
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(Uint8Array.from(chunk));
      return Buffer.concat(chunks);
    }
    throw missing(path);
  }
}

const missing = (path: string): BuildError =>
  new BuildError('E_STORE', `Cannot read "/${path}" of a layer: its index does not fit the tar`, {
    hint: 'Remove the state directory\'s "tar-index" directory; it is made again',
  });

async function readRange(
  layer: Layer,
  { start, end }: { readonly start: number; readonly end: number },
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let at = 0;
  if (start === end) return new Uint8Array();
  for await (const chunk of layer.uncompressed()) {
    const part = chunk.subarray(Math.max(0, start - at), Math.max(0, end - at));
    if (part.byteLength > 0) chunks.push(Uint8Array.from(part));
    at += chunk.byteLength;
    if (at >= end) break;
  }
  return Buffer.concat(chunks);
}
