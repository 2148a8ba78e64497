import { BuildError } from '../errors.ts';

/** OCI image-index.md "platform"; Go's GOOS/GOARCH names. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
}

const ARCHITECTURES: Readonly<Record<string, { architecture: string; variant?: string }>> = {
  x86_64: { architecture: 'amd64' },
  'x86-64': { architecture: 'amd64' },
  x64: { architecture: 'amd64' },
  i386: { architecture: '386' },
  ia32: { architecture: '386' },
  aarch64: { architecture: 'arm64' },
  armhf: { architecture: 'arm', variant: 'v7' },
  armel: { architecture: 'arm', variant: 'v6' },
};

function normalized(os: string, architecture: string, variant: string | undefined): Platform {
  const known = ARCHITECTURES[architecture.toLowerCase()];
  const arch = known?.architecture ?? architecture.toLowerCase();
  let v = variant?.toLowerCase() ?? known?.variant;
  if (v !== undefined && /^\d+$/.test(v)) v = `v${v}`;
  if (arch === 'arm64' && v === 'v8') v = undefined;
  if (arch === 'amd64' && v === 'v1') v = undefined;
  if (arch === 'arm' && v === undefined) v = 'v7';
  return { os: os.toLowerCase(), architecture: arch, ...(v === undefined ? {} : { variant: v }) };
}

/** `os/arch[/variant]`, or only `arch` or `os`, normalised as containerd does. Throws `E_BAD_PLATFORM`. */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/');
  if (parts.length > 3 || parts.some((part) => !/^[A-Za-z0-9_.-]+$/.test(part))) {
    throw new BuildError('E_BAD_PLATFORM', `Invalid platform "${text}"`, {
      hint: 'Write os/architecture or os/architecture/variant, for example linux/amd64 or linux/arm/v7',
    });
  }
  const [first = '', second, third] = parts;
  if (second !== undefined) return normalized(first, second, third);
  if (first === 'linux' || first === 'windows' || first === 'darwin' || first === 'freebsd') {
    return normalized(first, hostPlatform().architecture, undefined);
  }
  return normalized('linux', first, undefined);
}

export const formatPlatform = (p: Platform): string =>
  `${p.os}/${p.architecture}${p.variant === undefined ? '' : `/${p.variant}`}`;

/** Images for the machine that runs this: always linux, whatever the host kernel. */
export function hostPlatform(): Platform {
  return normalized('linux', process.arch, undefined);
}

/** Best first: the variants that a machine of this platform also runs (arm v7 runs v6 and v5). */
function acceptable(wanted: Platform): Platform[] {
  const list: Platform[] = [wanted];
  const level = wanted.architecture === 'arm' ? Number(wanted.variant?.slice(1) ?? 7) : 0;
  for (let v = level - 1; v >= 5; v--) list.push({ ...wanted, variant: `v${v}` });
  if (wanted.variant !== undefined && wanted.architecture !== 'arm') {
    list.push({ os: wanted.os, architecture: wanted.architecture });
  }
  return list;
}

const same = (a: Platform, b: Platform): boolean =>
  a.os === b.os && a.architecture === b.architecture && a.variant === b.variant;

const ofEntry = ({ os, architecture, variant }: Platform): Platform => normalized(os, architecture, variant);

/** Indexes also list attestations, which BuildKit gives the platform unknown/unknown: they are no images. */
export const isImageEntry = ({ platform }: { readonly platform?: Platform }): boolean => platform?.os !== 'unknown';

/** The entry that suits `wanted` best, or undefined. Entries without a platform and attestations do not match. */
export function choosePlatform<T extends { readonly platform?: Platform }>(
  entries: readonly T[],
  wanted: Platform,
): T | undefined {
  for (const candidate of acceptable(normalized(wanted.os, wanted.architecture, wanted.variant))) {
    const hit = entries.find(
      (entry) => entry.platform !== undefined && isImageEntry(entry) && same(ofEntry(entry.platform), candidate),
    );
    if (hit) return hit;
  }
  return undefined;
}
