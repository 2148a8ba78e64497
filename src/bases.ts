import type { Environment, RegistryAccess, SessionOptions } from './api.ts';
import type { Workspace } from './assembly.ts';
import type { PullPolicy } from './build-options.ts';
import { BuildError } from './errors.ts';
import {
  type BaseImage,
  imageKey,
  type LowerOptions,
  type RequiredImage,
  requiredImages,
  stageHint,
} from './graph/index.ts';
import { lookupStored } from './images.ts';
import { bringLocalImage } from './local-images.ts';
import { type Digest, formatImageName, type Image, parseDigest, parseImageName, parseManifest } from './oci/index.ts';
import type { Containerfile } from './parser/index.ts';
import { bringImage } from './pull-policy.ts';

export interface Bases {
  /** For lowering, by `imageKey`. */
  readonly configs: ReadonlyMap<string, BaseImage>;
  /** By the digest of the manifest. */
  readonly images: ReadonlyMap<string, Image>;
  /** For the run inside the namespace: which images were found. */
  readonly handOver: Environment;
}

export interface BaseOptions {
  readonly workspace: Workspace;
  readonly pull: PullPolicy;
  readonly session: SessionOptions & RegistryAccess;
}

/**
 * Finds every image that the target needs on each platform, in the store or, where `pull` says so, in its registry. ONBUILD triggers of one base may need more images: repeated until nothing is missing. Errors carry the
 * place of the FROM or --from that names the image.
 */
export async function resolveBases(
  file: Containerfile,
  lowerings: readonly LowerOptions[],
  options: BaseOptions,
): Promise<Bases> {
  const configs = new Map<string, BaseImage>();
  const images = new Map<string, Image>();
  const known = knownImages(options.session.env);
  const missing = (): readonly RequiredImage[] => {
    const all = lowerings.flatMap((lowering) => requiredImages(file, lowering, configs));
    return [...new Map(all.map((required) => [keyOf(required), required])).values()];
  };
  const contexts = [...new Set(lowerings.flatMap((lowering) => [...lowering.contexts.keys()]))];
  for (let round = missing(); round.length > 0; round = missing()) {
    await Promise.all(
      round.map(async (required) => {
        const image = await find(file, required, { ...options, known, contexts });
        configs.set(keyOf(required), baseOf(required, image));
        images.set(image.descriptor.digest, image);
      }),
    );
  }
  return { configs, images, handOver: handOver(configs) };
}

const baseOf = ({ name }: RequiredImage, image: Image): BaseImage => ({
  reference: formatImageName(parseImageName(name)),
  digest: image.descriptor.digest,
  config: image.config,
  annotations: annotationsOf(image),
});

function annotationsOf({ rawManifest, descriptor }: Image): Readonly<Record<string, string>> {
  const entries = Object.entries(parseManifest(rawManifest, descriptor.mediaType).annotations ?? {});
  return Object.fromEntries(entries.filter(([, value]) => typeof value === 'string'));
}

/**
 * Of the images that any stage needs, those that the store has (with `pull`, those of the registry); `missing` are the
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
    const image =
      options.pull === 'always' || options.pull === 'newer'
        ? await find(file, required, { ...options, known: new Map(), contexts: [...lowering.contexts.keys()] })
        : await lookupNamed(required, options.workspace);
    if (!image) missing.set(keyOf(required), name);
    else configs.set(keyOf(required), baseOf(required, image));
  }
  return { configs, missing: [...new Set(missing.values())] };
}

const keyOf = ({ name, platform }: RequiredImage): string => imageKey(name, platform);

async function lookupNamed({ name, platform }: RequiredImage, { store }: Workspace): Promise<Image | undefined> {
  const image = parseImageName(name);
  return image.transport === 'docker' ? lookupStored(image.reference, platform, store) : undefined;
}

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

/** Digests of manifests in the store by `imageKey`. */
type KnownImages = ReadonlyMap<string, Digest>;

/**
 * Set for the run inside the namespace: a file of images may be a pipe, and a name may stand for another image by then
 * (in the store it stands for one platform's only).
 */
const FOUND_IMAGES = 'TSBUILD_FOUND_IMAGES';

const handOver = (configs: ReadonlyMap<string, BaseImage>): Environment => ({
  [FOUND_IMAGES]: JSON.stringify([...configs].map(([key, { digest }]) => [key, digest])),
});

function knownImages(env: Environment): KnownImages {
  const text = env[FOUND_IMAGES];
  if (text === undefined) return new Map();
  const pairs: readonly (readonly [string, string])[] = JSON.parse(text); // written by `handOver`
  return new Map(pairs.map(([key, digest]) => [key, parseDigest(digest)]));
}

async function open(
  { name, platform }: RequiredImage,
  { known, ...options }: BaseOptions & { readonly known: KnownImages },
): Promise<Image> {
  const digest = known.get(imageKey(name, platform));
  if (digest !== undefined) return options.workspace.store.images.open(digest); // chosen by the run outside
  const image = parseImageName(name);
  if (image.transport !== 'docker') return bringLocalImage(image, platform, options);
  return bringImage(image.reference, platform, { ...options, policy: options.pull, isBase: true });
}

async function find(
  file: Containerfile,
  required: RequiredImage,
  { contexts, ...options }: BaseOptions & { readonly known: KnownImages; readonly contexts: readonly string[] },
): Promise<Image> {
  const { name, range } = required;
  try {
    return await open(required, options);
  } catch (error) {
    if (!(error instanceof BuildError) || error.code === 'E_CANCELLED') throw error;
    const hint = MAY_BE_TYPO.has(error.code) ? stageHint(file, name, contexts) : undefined;
    if (hint === undefined) throw range ? error.at(range) : error;
    const { code, message, fields } = error;
    throw new BuildError(code, message, { hint, range: error.range ?? range, cause: error, fields });
  }
}

/** What registries say of a name that does not exist (docker.io answers 401), or where nobody answers. */
const MAY_BE_TYPO: ReadonlySet<string> = new Set(['E_NOT_FOUND', 'E_UNAUTHORIZED', 'E_DENIED', 'E_UNAVAILABLE']);
