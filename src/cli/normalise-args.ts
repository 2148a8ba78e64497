import { usageError } from './usage.ts';
import { parseBoolean } from './values.ts';

/** Boolean options that other builders also take as `--option=true`. */
const SWITCHES: ReadonlySet<string> = new Set(['--no-cache', '--pull', '--quiet', '--force', '--all']);

/**
 * Go programs take `--flag=true` and never `--flag true`; commander knows no such option. `--tls-verify` becomes
 * `--tls-verify=true` and `--no-cache=true` becomes `--no-cache`. Words after `--` stay as they are.
 */
export function normaliseArgs(args: readonly string[]): string[] {
  const end = args.indexOf('--');
  const ours = end < 0 ? args : args.slice(0, end);
  return [...ours.flatMap(normaliseArg), ...(end < 0 ? [] : args.slice(end))];
}

function normaliseArg(arg: string): string[] {
  if (arg === '--tls-verify') return ['--tls-verify=true'];
  const equals = arg.indexOf('=');
  const name = equals < 0 ? arg : arg.slice(0, equals);
  if (equals < 0 || !SWITCHES.has(name)) return [arg];
  const value = arg.slice(equals + 1);
  if (name === '--pull') return pullPolicy(value);
  return parseBoolean(name, value) ? [name] : [];
}

/** buildah's words for `--pull`. */
function pullPolicy(value: string): string[] {
  if (value === 'always') return ['--pull'];
  if (value === 'missing') return [];
  if (value === 'never' || value === 'newer')
    throw usageError(`--pull=${value} is not built yet`, 'use --pull or leave it out');
  return parseBoolean('--pull', value) ? ['--pull'] : [];
}
