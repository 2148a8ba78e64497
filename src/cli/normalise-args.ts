import { parseBoolean } from './values.ts';

/** Boolean options that other builders also take as `--option=true`. */
const SWITCHES: ReadonlySet<string> = new Set([
  '--no-cache',
  '--quiet',
  '--force',
  '--all',
  '--push',
  '--load',
  '--squash',
  '--force-compression',
]);

/** Options whose value may be left out, with what they mean then. */
const WITHOUT_VALUE: ReadonlyMap<string, string> = new Map([
  ...[
    '--tls-verify',
    '--inherit-labels',
    '--inherit-annotations',
    '--identity-label',
    '--created-annotation',
    '--rewrite-timestamp',
    '--layers',
    '--rm',
    '--force-rm',
    '--http-proxy',
  ].map((name) => [name, 'true'] as const),
  ['--pull', 'always'],
]);

/** Other builders' names of our options. */
const ALIASES: ReadonlyMap<string, string> = new Map([['--compression-format', '--compression']]);

/**
 * Go programs take `--flag=true` and never `--flag true`; commander knows no such option. `--tls-verify` becomes
 * `--tls-verify=true` and `--no-cache=true` becomes `--no-cache`, `-c=2` is `-c 2`. Words after `--` stay as they are.
 */
export function normaliseArgs(args: readonly string[]): string[] {
  const end = args.indexOf('--');
  const ours = end < 0 ? args : args.slice(0, end);
  return [...ours.flatMap(normaliseArg), ...(end < 0 ? [] : args.slice(end))];
}

function normaliseArg(arg: string): string[] {
  if (/^-[a-z]=/.test(arg)) return [arg.slice(0, 2), arg.slice(3)];
  const implied = WITHOUT_VALUE.get(arg);
  if (implied !== undefined) return [`${arg}=${implied}`];
  const equals = arg.indexOf('=');
  const name = equals < 0 ? arg : arg.slice(0, equals);
  const alias = ALIASES.get(name);
  if (alias !== undefined) return [`${alias}${arg.slice(name.length)}`];
  if (equals < 0 || !SWITCHES.has(name)) return [arg];
  const value = arg.slice(equals + 1);
  return parseBoolean(name, value) ? [name] : [];
}
