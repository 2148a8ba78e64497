import type { PullPolicy } from './build-options.ts';
import { BuildError, type ErrorCode } from './errors.ts';
import { findOrPull, lookupStored, pullImage, type Sources } from './images.ts';
import type { Image, Platform } from './oci/index.ts';

/** The registry could not be asked, or does not have it: then `newer` is content with what is here. */
const NOT_NEWER: ReadonlySet<ErrorCode> = new Set(['E_NOT_FOUND', 'E_UNAUTHORIZED', 'E_DENIED', 'E_UNAVAILABLE']);

/** An image by the rule of `--pull`. Throws what pulling throws; `E_NO_IMAGE` for what is not here with `never`. */
export async function bringImage(
  name: string,
  platform: Platform,
  { policy, ...sources }: Sources & { readonly policy: PullPolicy },
): Promise<Image> {
  switch (policy) {
    case 'always':
      return pullImage(name, platform, sources);
    case 'missing':
      return findOrPull(name, platform, sources);
    case 'newer':
      return pullNewer(name, platform, sources);
    case 'never': {
      const stored = await lookupStored(name, platform, sources.workspace.store);
      if (stored) return stored;
      throw new BuildError(
        'E_NO_IMAGE',
        `The image "${name}" is not in the store, and --pull=never forbids to fetch it`,
        {
          hint: 'Leave --pull=never out, or run tsbuild pull first',
        },
      );
    }
    default:
      return policy satisfies never;
  }
}

async function pullNewer(name: string, platform: Platform, sources: Sources): Promise<Image> {
  try {
    return await pullImage(name, platform, sources);
  } catch (error) {
    const stored = await lookupStored(name, platform, sources.workspace.store);
    if (stored && error instanceof BuildError && NOT_NEWER.has(error.code)) return stored;
    throw error;
  }
}
