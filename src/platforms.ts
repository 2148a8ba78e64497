import type { BuildOptions } from './api.ts';
import { BuildError } from './errors.ts';
import { parseMeantPlatform } from './graph/index.ts';
import { formatPlatform, hostPlatform, type Platform } from './oci/index.ts';

/**
 * The platforms to build for, in the order given, each once; without any, this machine's. Throws `E_BAD_PLATFORM`, and
 * `E_USAGE` where several are asked for and only one has room.
 */
export function platformsOf(options: BuildOptions): readonly Platform[] {
  const { platforms = [], osVersion } = options;
  const parsed = new Map(platforms.map(parseMeantPlatform).map((platform) => [formatPlatform(platform), platform]));
  const wanted = parsed.size === 0 ? [hostPlatform()] : [...parsed.values()];
  if (wanted.length > 1) refuseOnePlace(options, wanted);
  return osVersion === undefined ? wanted : wanted.map((platform) => ({ ...platform, 'os.version': osVersion }));
}

function refuseOnePlace({ outputs, osVersion }: BuildOptions, platforms: readonly Platform[]): void {
  const names = platforms.map(formatPlatform).join(', ');
  if (outputs.some(({ type }) => type === 'docker')) {
    throw new BuildError('E_USAGE', `A Docker archive has no room for images of several platforms (${names})`, {
      hint: 'Choose one with --platform, or write -o type=oci',
    });
  }
  if (osVersion !== undefined) {
    throw new BuildError('E_USAGE', `--os-version is for one platform, not for several (${names})`, {
      hint: 'Choose one with --platform',
    });
  }
}

/** The directory of a platform in `-o type=local` and `-o type=tar`, as BuildKit calls it: `linux_arm_v7`. */
export const directoryFor = (platform: string): string => platform.replaceAll('/', '_');
