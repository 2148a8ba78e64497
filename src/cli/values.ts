import type { Compression } from '../index.ts';
import { usageError } from './usage.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** For commander's repeatable options. */
export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

/** `K=V` gives V; `K` alone takes the value from the environment and is left out where it is unset there. */
export function parseBuildArgs(texts: readonly string[], env: Environment): Record<string, string> {
  const pairs = texts.map((text): [string, string | undefined] => {
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    if (name === '') throw usageError(`Build argument "${text}" has no name`, 'write --build-arg NAME=VALUE');
    return [name, equals < 0 ? env[name] : text.slice(equals + 1)];
  });
  return Object.fromEntries(pairs.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Go's durations with days: `90s`, `1h30m`, `7d`, in milliseconds. */
export function parseDuration(option: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)];
  if (text === '' || parts.map(([part]) => part).join('') !== text)
    throw usageError(`${option} "${text}" is not a duration`, 'e.g. 90s, 1h30m or 7d');
  return parts.reduce((sum, [, number, unit = '']) => sum + Number(number) * (UNIT_MS[unit] ?? 0), 0);
}

/** docker's `--filter until=DURATION`; the last one counts. */
export function parseUntil(filters: readonly string[]): number | undefined {
  return filters
    .map((text) => {
      const [, value] = /^until=(.*)$/.exec(text) ?? [];
      if (value === undefined) throw usageError(`--filter "${text}" is not known`, 'e.g. --filter until=24h');
      return parseDuration('--filter until', value);
    })
    .at(-1);
}

/** `NAME=SOURCE`. */
export function parseBuildContexts(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf('=');
      if (equals > 0 && equals < text.length - 1) return [text.slice(0, equals), text.slice(equals + 1)];
      throw usageError(
        `Build context "${text}" has no ${equals === 0 ? 'name' : 'source'}`,
        'write --build-context NAME=SOURCE',
      );
    }),
  );
}

/** `K=V`; `K` alone is an empty value, as in docker. */
export function parseLabels(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf('=');
      const name = equals < 0 ? text : text.slice(0, equals);
      if (name === '') throw usageError(`Label "${text}" has no name`, 'write --label NAME=VALUE');
      return [name, equals < 0 ? '' : text.slice(equals + 1)];
    }),
  );
}

export function parseJobs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,4}$/.test(text)) throw usageError(`--jobs "${text}" is not a whole number above 0`);
  return Number(text);
}

/** The value if it is one of `allowed`. */
export function choice<T extends string>(option: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === text);
  if (found !== undefined) return found;
  throw usageError(`${option} "${text}" is not known`, `choose one of: ${allowed.join(', ')}`);
}

/** BuildKit says "uncompressed" for none. */
export const parseCompression = (option: string, text: string): Compression =>
  text === 'uncompressed' ? 'none' : choice(option, text, ['gzip', 'zstd', 'none']);

const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false };

export function parseBoolean(option: string, text: string): boolean {
  const value = BOOLEANS[text.toLowerCase()];
  if (value === undefined) throw usageError(`${option} "${text}" is neither true nor false`);
  return value;
}

/** One platform, not a list. */
export function singlePlatform(text: string | undefined): string | undefined {
  if (text?.includes(','))
    throw usageError(`--platform "${text}" names several platforms`, 'choose one; only a build takes several');
  return text;
}

/** `a,b` of one option or of several. */
export function platformList(texts: readonly string[]): readonly string[] {
  const names = texts.flatMap((text) => text.split(',').map((name) => name.trim()));
  if (names.length > 1 && names.includes(''))
    throw usageError(`--platform "${texts.join(',')}" has an empty name`, 'write --platform OS/ARCH[,OS/ARCH...]');
  return names;
}

/** buildah's words, and the booleans of docker. */
export function pullPolicy(text: string): 'always' | 'missing' | 'newer' | 'never' {
  if (Object.hasOwn(BOOLEANS, text.toLowerCase())) return parseBoolean('--pull', text) ? 'always' : 'missing';
  return choice('--pull', text, ['always', 'missing', 'newer', 'never']);
}
