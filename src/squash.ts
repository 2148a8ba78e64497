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
  const { diffId } = await library.commitTar(encodeTarStream(flatMembers(image, mtimeRule)));
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

/** The same for an archive. */
export async function* flatMembers(image: Image, rule: MtimeRule | undefined): AsyncIterable<TarMember> {
  for await (const { entry, body } of flatEntries(image, rule)) {
    yield entry.type === 'file' ? { entry, body } : { entry };
  }
}
