import { BuildError } from '../errors.ts';
import { formatPlatform, type Platform, parsePlatform } from '../oci/index.ts';
import { suggest } from '../parser/index.ts';

/** Go's GOARCH and GOOS, as far as images have them. */
const ARCHITECTURES = '386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x wasm'.split(
  ' ',
);
const SYSTEMS = 'linux windows darwin freebsd netbsd openbsd wasip1'.split(' ');

/** `parsePlatform`, and a name that is almost a known one is a slip: `E_BAD_PLATFORM` with the one that was meant. */
export function parseMeantPlatform(text: string): Platform {
  const platform = parsePlatform(text);
  const meant = { os: nearest(platform.os, SYSTEMS), architecture: nearest(platform.architecture, ARCHITECTURES) };
  if (meant.os === undefined && meant.architecture === undefined) return platform;
  const { os = platform.os, architecture = platform.architecture } = meant;
  throw new BuildError('E_BAD_PLATFORM', `Unknown platform "${text}"`, {
    hint: `Did you mean "${formatPlatform(parsePlatform(`${os}/${architecture}`))}"?`,
  });
}

const nearest = (name: string, known: readonly string[]): string | undefined =>
  known.includes(name) ? undefined : suggest(name, known);
