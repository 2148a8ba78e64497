import type { Platform } from '../oci/index.ts';
import { formatPlatform } from '../oci/index.ts';
import type { LowerOptions } from './options.ts';

/**
 * The rules of ARG and ENV, in one place (docs.docker.com/reference/dockerfile, "Using ARG variables").
 * ENV always beats ARG of the same name, whichever came first.
 */
export interface Scope {
  /** The image's Env, in its order. */
  readonly env: ReadonlyMap<string, string>;
  /** Declared arguments; undefined: declared, but nobody gave a value. */
  readonly args: ReadonlyMap<string, string | undefined>;
}

/** What RUN finds where the image says nothing (Docker's default for Linux). */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'];
const PROXY_NAMES: ReadonlySet<string> = new Set([...PROXIES, ...PROXIES.map((name) => name.toLowerCase())]);

export const lookupVariable = ({ env, args }: Scope, name: string): string | undefined =>
  env.get(name) ?? args.get(name);

export function withEnv(scope: Scope, pairs: Iterable<readonly [string, string]>): Scope {
  return { ...scope, env: new Map([...scope.env, ...pairs]) };
}

/** A second `ARG x` without a value keeps the first one's. */
export function withArg(scope: Scope, name: string, value: string | undefined): Scope {
  return { ...scope, args: new Map([...scope.args, [name, value ?? scope.args.get(name)]]) };
}

/** `A=b` entries of a config. */
export function parseEnv(entries: readonly string[]): Map<string, string> {
  return new Map(
    entries.map((entry): [string, string] => {
      const equals = entry.indexOf('=');
      return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
}

export const formatEnv = ({ env }: Scope): string[] => [...env].map(([name, value]) => `${name}=${value}`);

/** A stage's first scope: what the image sets, and the default PATH where it sets none. */
export function imageScope(entries: readonly string[]): Scope {
  const env = parseEnv(entries);
  if (!env.has('PATH')) env.set('PATH', DEFAULT_PATH);
  return { env, args: new Map() };
}

/** They steer BuildKit's SBOM scanner; a declaration of them says something to it, not to RUN. */
const NOT_EXPORTED: ReadonlySet<string> = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);

/** Arguments that RUN sees: declared, with a value, and not hidden by ENV. */
export function visibleArgs({ env, args }: Scope): [string, string][] {
  return [...args].filter(
    (arg): arg is [string, string] => arg[1] !== undefined && !env.has(arg[0]) && !NOT_EXPORTED.has(arg[0]),
  );
}

/**
 * Proxy build arguments: RUN sees them in upper and in lower case, as programs look for either (BuildKit); the key and
 * the history do not have them. A name that ENV or ARG declares is theirs.
 */
export function proxyEnv({ env, args }: Scope, buildArgs: Readonly<Record<string, string>>): [string, string][] {
  const given = Object.entries(buildArgs).filter(([name]) => PROXY_NAMES.has(name));
  const both = given.flatMap(([name, value]): [string, string][] => [
    [name.toUpperCase(), value],
    [name.toLowerCase(), value],
  ]);
  // As given wins over the other case of another argument.
  return [...new Map([...both, ...given])].filter(([name]) => !env.has(name) && !args.has(name));
}

/** Build arguments that mean something without a declaration; none of them is ever reported as unused. */
export function isPredefined(name: string): boolean {
  return (
    PROXY_NAMES.has(name) ||
    name.startsWith('BUILDKIT_') ||
    name === 'SOURCE_DATE_EPOCH' ||
    /^(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT|OSVERSION|STAGE)$/.test(name)
  );
}

function platformArgs(prefix: string, platform: Platform): [string, string][] {
  return [
    [`${prefix}PLATFORM`, formatPlatform(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}OSVERSION`, platform['os.version'] ?? ''],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ''],
  ];
}

/**
 * What FROM lines see before any ARG, and what a bare `ARG TARGETARCH` in a stage imports. `lastStage`: name of the
 * file's last stage, which is built where no target is asked for.
 */
export function predefinedScope(
  { platform, buildPlatform, target, buildArgs }: LowerOptions,
  lastStage: string | undefined,
): Scope {
  const args = new Map<string, string>([
    ...platformArgs('BUILD', buildPlatform),
    ...platformArgs('TARGET', platform),
    ['TARGETSTAGE', target || lastStage || 'default'],
  ]);
  for (const name of args.keys()) {
    const given = buildArg(buildArgs, name);
    if (given !== undefined) args.set(name, given);
  }
  return { env: new Map(), args };
}

/** Own members only: `--build-arg` names come from outside. */
export const buildArg = (args: Readonly<Record<string, string>>, name: string): string | undefined =>
  Object.hasOwn(args, name) ? args[name] : undefined;

export interface ArgSources {
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly global?: Scope;
  /** Called only when needed: a default that cannot be expanded does not matter when `--build-arg` is given. */
  readonly expandDefault?: () => string;
}

/** `--build-arg`, then the default on the line, then the global ARG of that name. */
export function argValue(name: string, { buildArgs, global, expandDefault }: ArgSources): string | undefined {
  return buildArg(buildArgs, name) ?? expandDefault?.() ?? global?.args.get(name);
}
