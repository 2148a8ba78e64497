import type { Workspace } from './assembly.ts';
import { BuildError } from './errors.ts';
import { forFormat } from './executor/index.ts';
import { encodeTarStream, type FlatEntry, flattenLayers, type TarMember } from './layers/index.ts';
import { createImage, type Image, type ImageFormat, type MtimeRule, parseManifest, ruledMtime } from './oci/index.ts';

export interface SquashOptions {
  readonly workspace: Workspace;
  readonly format: ImageFormat;
  /** For every file: the whole layer is new. */
  readonly mtimeRule: MtimeRule | undefined;
}

/** The same image with one layer and one history entry, those of its base included (buildah's `--squash`). */
export async function squashImage(image: Image, { workspace, format, mtimeRule }: SquashOptions): Promise<Image> {
  const { library } = workspace;
  const { diffId } = await library.commitTar(encodeTarStream(membersOf(flatEntries(image, mtimeRule))));
  const layer = await library.find(diffId);
  if (!layer) throw new BuildError('E_CORRUPT_STORE', 'The squashed layer vanished from the store');
  const [last] = (image.config.history ?? []).slice(-1);
  const { empty_layer: _hasOneNow, ...entry } = last ?? {};
  const annotations = parseManifest(image.rawManifest, image.descriptor.mediaType).annotations;
  return createImage({
    format,
    config: { ...image.config, rootfs: { type: 'layers', diff_ids: [diffId] }, history: [entry] },
    layers: [forFormat(layer, format)],
    ...(annotations === undefined ? {} : { annotations }),
  });
}

/** The root filesystem of an image, with the times that the rule gives. */
export async function* flatEntries(image: Image, rule: MtimeRule | undefined): AsyncIterable<FlatEntry> {
  for await (const { entry, body } of flattenLayers(image.layers)) {
    yield { entry: { ...entry, mtime: ruledMtime(entry.mtime, rule) }, body };
  }
}

/** The same tree in a directory. */
export async function* inDirectory(name: string, entries: AsyncIterable<FlatEntry>): AsyncIterable<FlatEntry> {
  const within = (path: string): string => (path === '' ? name : `${name}/${path}`);
  for await (const { entry, body } of entries) {
    const moved = { ...entry, path: within(entry.path) };
    yield { entry: moved.type === 'hardlink' ? { ...moved, linkname: within(moved.linkname) } : moved, body };
  }
}

/** The same for an archive. */
export async function* membersOf(entries: AsyncIterable<FlatEntry>): AsyncIterable<TarMember> {
  for await (const { entry, body } of entries) yield entry.type === 'file' ? { entry, body } : { entry };
}
