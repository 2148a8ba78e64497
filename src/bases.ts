import type { RegistryAccess, SessionOptions } from './api.ts';
import type { Workspace } from './assembly.ts';
import { BuildError } from './errors.ts';
import { type BaseImage, imageKey, type LowerOptions, type RequiredImage, requiredImages } from './graph/index.ts';
import { findOrPull, pullImage } from './images.ts';
import { formatReference, type Image, parseReference } from './oci/index.ts';
import { type Containerfile, suggest } from './parser/index.ts';

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
 * its registry. ONBUILD triggers of one base may need more images: repeated until nothing is missing. Errors carry the
 * place of the FROM or --from that names the image.
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
      round.map(async (required) => {
        const image = await find(file, required, options);
        const { name, platform } = required;
        const reference = formatReference(parseReference(name));
        configs.set(imageKey(name, platform), { reference, digest: image.descriptor.digest, config: image.config });
        images.set(image.descriptor.digest, image);
      }),
    );
  }
  return { configs, images };
}

/**
 * Of the images that any stage needs, those that the store has (with `pull`: those of the registry); `missing` are the
 * names of the others. For a look at the file, which may need none of them.
 */
export async function knownBases(
  file: Containerfile,
  lowering: LowerOptions,
  options: BaseOptions,
): Promise<{ readonly configs: ReadonlyMap<string, BaseImage>; readonly missing: readonly string[] }> {
  const configs = new Map<string, BaseImage>();
  const missing = new Map<string, string>();
  const next = () => everyRequired(file, lowering, configs).find((image) => !missing.has(keyOf(image)));
  for (let required = next(); required; required = next()) {
    const { name } = required;
    const image = options.pull ? await find(file, required, options) : await lookupStored(required, options.workspace);
    if (!image) missing.set(keyOf(required), name);
    else {
      const reference = formatReference(parseReference(name));
      configs.set(keyOf(required), { reference, digest: image.descriptor.digest, config: image.config });
    }
  }
  return { configs, missing: [...new Set(missing.values())] };
}

const keyOf = ({ name, platform }: RequiredImage): string => imageKey(name, platform);

/** Of all stages; none of those with an error, which is reported elsewhere. */
export function everyRequired(
  file: Containerfile,
  lowering: LowerOptions,
  known: ReadonlyMap<string, BaseImage>,
): readonly RequiredImage[] {
  return [...file.stages.keys()].flatMap((index) => {
    try {
      return requiredImages(file, { ...lowering, target: String(index) }, known);
    } catch (error) {
      if (error instanceof BuildError) return [];
      throw error;
    }
  });
}

async function lookupStored({ name, platform }: RequiredImage, { store }: Workspace): Promise<Image | undefined> {
  const stored = await store.images.locate(name);
  if (!stored) return undefined;
  try {
    return await store.images.resolve(stored, platform);
  } catch (error) {
    if (error instanceof BuildError && error.code === 'E_NO_PLATFORM') return undefined;
    throw error;
  }
}

async function find(file: Containerfile, required: RequiredImage, options: BaseOptions): Promise<Image> {
  const { name, platform, range } = required;
  try {
    return await (options.pull ? pullImage(name, platform, options) : findOrPull(name, platform, options));
  } catch (error) {
    if (!(error instanceof BuildError) || error.code === 'E_CANCELLED') throw error;
    const meant = stageMeant(file, name);
    const located = range ? error.at(range) : error;
    if (meant === undefined || !MAY_BE_TYPO.has(error.code)) throw located;
    throw new BuildError(error.code, error.message, {
      hint: `Did you mean the stage "${meant}"? No stage is called "${name}", so it was taken for an image`,
      range: located.range,
      cause: error,
      fields: error.fields,
    });
  }
}

/** What registries say of a name that does not exist; docker.io answers 401. */
const MAY_BE_TYPO: ReadonlySet<string> = new Set(['E_NOT_FOUND', 'E_UNAUTHORIZED', 'E_DENIED']);

/** The stage that a name like a stage's was probably meant to be. */
function stageMeant(file: Containerfile, name: string): string | undefined {
  const names = file.stages.flatMap(({ from }) => from.name ?? []);
  return /[.:/@]/.test(name) || names.includes(name) ? undefined : suggest(name, names);
}
