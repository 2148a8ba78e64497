import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { SessionOptions } from './api.ts';
import type { Workspace } from './assembly.ts';
import { BuildError } from './errors.ts';
import { decompress } from './layers/index.ts';
import { formatImageName, type Image, type LocalImageName, type Platform, parseReference } from './oci/index.ts';
import { DirectoryImage, OciLayout, openArchive } from './store/index.ts';

/** Files and directories choose by what stands behind their path, not by a reference. */
const ANY = parseReference('localhost/image');

interface Local {
  readonly workspace: Workspace;
  readonly session: SessionOptions;
}

/**
 * Brings an image out of a file or directory into the store, without a name: it is found there by its digest. Throws
 * `E_NO_IMAGE`, `E_NO_PLATFORM`, `E_BAD_MANIFEST`, `E_BAD_LAYER`, `E_STORE`.
 */
export async function bringLocalImage(
  name: LocalImageName,
  platform: Platform,
  { workspace: { store }, session: { emit, signal } }: Local,
): Promise<Image> {
  const keep = async (image: Image): Promise<Image> => {
    await store.images.add(image, { emit, signal });
    return store.images.open(image.descriptor.digest, platform);
  };
  const path = resolve(name.path);
  if (!existsSync(path)) {
    throw new BuildError('E_NO_IMAGE', `Cannot read "${formatImageName(name)}": there is no "${path}"`, {
      hint: `The path is relative to the working directory. For an image of a registry write docker://NAME`,
    });
  }
  switch (name.transport) {
    case 'oci': {
      const layout = new OciLayout({ directory: path, name: name.name, decompress });
      return keep(await layout.resolve(ANY, platform, { emit }));
    }
    case 'dir':
      return keep(await new DirectoryImage({ directory: path, decompress }).resolve(ANY, platform, { emit }));
    case 'oci-archive':
    case 'docker-archive': {
      const kind = name.transport === 'oci-archive' ? 'oci' : 'docker';
      const where = { source: path, ingest: store.paths.ingest, decompress, signal };
      await using archive = await openArchive({ ...where, kind, name: name.name });
      return await keep(await archive.resolve(ANY, platform, { emit }));
    }
    default:
      throw name.transport satisfies never;
  }
}
