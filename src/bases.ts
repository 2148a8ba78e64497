import type { RegistryAccess, SessionOptions } from './api.ts';
import type { Workspace } from './assembly.ts';
import type { PullPolicy } from './build-options.ts';
import { BuildError } from './errors.ts';
import { type BaseImage, imageKey, type LowerOptions, type RequiredImage, requiredImages } from './graph/index.ts';
import { formatReference, type Image, parseManifest, parseReference } from './oci/index.ts';
import { type Containerfile, suggest } from './parser/index.ts';
import { bringImage } from './pull-policy.ts';

export interface Bases {
  /** For lowering, by `imageKey`. */
  readonly configs: ReadonlyMap<string, BaseImage>;
  /** By the digest of the manifest. */
  readonly images: ReadonlyMap<string, Image>;
}

export interface BaseOptions {
  readonly workspace: Workspace;
  readonly pull: PullPolicy;
  readonly session: SessionOptions & RegistryAccess;
}

/**
 * Finds every image that the target needs, in the store or, where `pull` says so, in its registry. ONBUILD triggers of one base may need more images: repeated until nothing is missing. Errors carry the
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
        configs.set(imageKey(name, platform), {
          reference,
          digest: image.descriptor.digest,
          config: image.config,
          annotations: annotationsOf(image),
        });
        images.set(image.descriptor.digest, image);
      }),
    );
  }
  return { configs, images };
}

function annotationsOf({ rawManifest, descriptor }: Image): Readonly<Record<string, string>> {
  const entries = Object.entries(parseManifest(rawManifest, descriptor.mediaType).annotations ?? {});
  return Object.fromEntries(entries.filter(([, value]) => typeof value === 'string'));
}

async function find(file: Containerfile, required: RequiredImage, options: BaseOptions): Promise<Image> {
  const { name, platform, range } = required;
  try {
    return await bringImage(name, platform, { ...options, policy: options.pull });
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
