import { createReadStream } from 'node:fs';
import type { PullResult, SessionOptions } from './api.ts';
import { type Workspace, withWorkspace } from './assembly.ts';
import { BuildError, systemErrorCode } from './errors.ts';
import { resultOf } from './images.ts';
import { decompress, detectCompression, isTarHeader, TAR_BLOCK } from './layers/index.ts';
import { createImage, formatReference, hostPlatform, type Layer, parseLocalName } from './oci/index.ts';

/** What shells find programs with; an image without PATH surprises every RUN in its children. */
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface ImportOptions extends SessionOptions {
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
}

/**
 * A root filesystem as an image with one layer. `tar`: a file, `-` for standard input; may be compressed (told by content).
 * Throws `E_BAD_ARCHIVE` for what is no root filesystem.
 */
export const importRootfs = (tar: string, name: string, options: ImportOptions): Promise<PullResult> =>
  withWorkspace(options, async (workspace) => {
    const ref = parseLocalName(name);
    const label = tar === '-' ? 'standard input' : tar;
    const bytes = tar === '-' ? (options.stdin ?? emptyBytes()) : fileBytes(tar);
    const { diffId } = await workspace.library.importTar(await tarOf(bytes, label));
    const layer = await workspace.library.find(diffId);
    if (!layer) throw new BuildError('E_CORRUPT_STORE', 'The imported layer vanished from the store');
    await requireRootfs(layer, label, workspace);
    const created = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const image = createImage({
      format: 'oci',
      config: {
        ...hostPlatform(),
        created,
        config: { Env: [PATH], Cmd: ['/bin/sh'] },
        rootfs: { type: 'layers', diff_ids: [diffId] },
        history: [{ created, created_by: 'import', comment: 'tsbuild' }],
      },
      layers: [layer],
    });
    await workspace.store.images.write(image, ref, options);
    return resultOf(formatReference(ref), image);
  });

async function* fileBytes(path: string): AsyncIterable<Uint8Array> {
  try {
    yield* createReadStream(path);
  } catch (cause) {
    throw new BuildError('E_BAD_ARCHIVE', `Cannot import "${path}": ${systemErrorCode(cause) ?? 'error'}`, {
      hint: 'Name a tar file that you may read, or "-" for standard input',
      cause,
    });
  }
}

async function* emptyBytes(): AsyncIterable<Uint8Array> {}

const refused = (label: string, problem: string, hint: string): BuildError =>
  new BuildError('E_BAD_ARCHIVE', `Cannot import "${label}": ${problem}`, { hint });

/** The plain tar. Throws `E_BAD_ARCHIVE` unless it begins like one. */
async function tarOf(bytes: AsyncIterable<Uint8Array>, label: string): Promise<AsyncIterable<Uint8Array>> {
  const packed = await peek(bytes, TAR_BLOCK);
  if (packed.head.byteLength === 0) {
    throw refused(label, 'it is empty', 'Give the tar of a root filesystem: tar -C DIR -c . | tsbuild import - NAME');
  }
  const plain = await peek(decompress(packed.all, detectCompression(packed.head)), TAR_BLOCK);
  if (isTarHeader(plain.head)) return plain.all;
  throw refused(label, 'it is not a tar archive', 'Give the tar of a root filesystem, plain or compressed');
}

interface Peeked {
  /** The first bytes, fewer only where there are no more. */
  readonly head: Uint8Array;
  /** Everything, the head included; can be read once. */
  readonly all: AsyncIterable<Uint8Array>;
}

async function peek(bytes: AsyncIterable<Uint8Array>, size: number): Promise<Peeked> {
  const iterator = bytes[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length < size) {
    const { done, value } = await iterator.next();
    if (done) break;
    chunks.push(value);
    length += value.byteLength;
  }
  const head = Buffer.concat(chunks, length);
  async function* all(): AsyncIterable<Uint8Array> {
    yield head;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { head: head.subarray(0, size), all: all() };
}

/** An image archive is a tar too, and would make an image that nothing can run in. */
async function requireRootfs(layer: Layer, label: string, { library }: Workspace): Promise<void> {
  const view = await library.view([layer]);
  const names = view.list('/');
  const isOci = names.includes('oci-layout') && names.includes('index.json');
  const isDocker = names.includes('manifest.json') && names.every((name) => !/^(bin|etc|usr)$/.test(name));
  if (isOci || isDocker) {
    throw refused(label, `it is ${isOci ? 'an OCI' : 'a Docker'} image archive`, `Use tsbuild load "${label}"`);
  }
  if (names.length === 0) throw refused(label, 'there is no file in it', 'Give the tar of a root filesystem');
}
