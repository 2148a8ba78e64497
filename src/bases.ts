import type { RegistryAccess, SessionOptions } from './api.ts';
import type { Workspace } from './assembly.ts';
import { BuildError } from './errors.ts';
import { type BaseImage, imageKey, type LowerOptions, requiredImages } from './graph/index.ts';
import { findOrPull, pullImage } from './images.ts';
import { formatReference, type Image, parseReference } from './oci/index.ts';
import type { Containerfile } from './parser/index.ts';

export interface Bases {
  /** For lowering, by `imageKey`. */
  readonly configs: ReadonlyMap<string, BaseImage>;
  /** By the digest of the manifest. */
  readonly images: ReadonlyMap<string, Image>;
}

export interface BaseOptions {
  readonly workspace: Workspace;
  readonly pull: boolean;
  readonly session: SessionOptions & RegistryAccess;
}

/**
 * Finds every image that the target needs, in the store or, where it is missing there (or `pull` asks for the newest), in
 * its registry. ONBUILD triggers of one base may need more images: repeated until nothing is missing.
 */
export async function resolveBases(file: Containerfile, lowering: LowerOptions, options: BaseOptions): Promise<Bases> {
  const configs = new Map<string, BaseImage>();
  const images = new Map<string, Image>();
  for (
    let round = requiredImages(file, lowering, configs);
    round.length > 0;
    round = requiredImages(file, lowering, configs)
  ) {
    await Promise.all(
      round.map(async ({ name, platform, range }) => {
        try {
          const find = options.pull ? pullImage : findOrPull;
          const image = await find(name, platform, options);
          const reference = formatReference(parseReference(name));
          configs.set(imageKey(name, platform), { reference, digest: image.descriptor.digest, config: image.config });
          images.set(image.descriptor.digest, image);
        } catch (error) {
          throw error instanceof BuildError && range ? error.at(range) : error;
        }
      }),
    );
  }
  return { configs, images };
}
