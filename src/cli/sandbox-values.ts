import { isIP } from 'node:net';
import { posix } from 'node:path';
import type { HostEntry, ResolverSettings, Ulimit, VolumeSpec } from '../index.ts';
import { usageError } from './usage.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** Bytes, or with a unit as in docker: `64m`, `1.5g`, `512kb`. */
export function parseSize(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text);
  const factor = UNITS[match?.[2]?.toLowerCase() ?? ''];
  if (!match || factor === undefined) throw usageError(`${option} "${text}" is not a size`, 'e.g. 64m or 2g');
  return Math.floor(Number(match[1]) * factor);
}

const RESOURCES =
  'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' ');

/** `nofile=1024[:4096]`; -1 or "unlimited" is no limit. */
export function parseUlimit(text: string): Ulimit {
  const [, resource = '', soft = '', hard = soft] = /^([a-z]+)=([^:]+)(?::([^:]+))?$/.exec(text) ?? [];
  if (!RESOURCES.includes(resource)) {
    throw usageError(`--ulimit "${text}" is not known`, `write NAME=SOFT[:HARD]; names: ${RESOURCES.join(', ')}`);
  }
  const limit = { resource, soft: limitOf(text, soft), hard: limitOf(text, hard) };
  if ((limit.soft ?? Number.POSITIVE_INFINITY) > (limit.hard ?? Number.POSITIVE_INFINITY)) {
    throw usageError(`--ulimit "${text}": the soft limit is above the hard limit`);
  }
  return limit;
}

function limitOf(text: string, value: string): number | undefined {
  if (value === '-1' || value === 'unlimited') return undefined;
  if (!/^\d{1,15}$/.test(value))
    throw usageError(`--ulimit "${text}": "${value}" is not a number`, 'e.g. nofile=1024:4096');
  return Number(value);
}

/** `NAME:ADDRESS`, `NAME=ADDRESS`; the address may stand in brackets or be `host-gateway`. */
export function parseHost(text: string): HostEntry {
  const [, name = '', written = ''] = /^([^:=\s]+)[:=](\S+)$/.exec(text) ?? [];
  const address = written.replace(/^\[(.*)\]$/, '$1');
  if (name === '' || (isIP(address) === 0 && address !== 'host-gateway')) {
    throw usageError(`--add-host "${text}" is not NAME:ADDRESS`, 'e.g. --add-host db:10.0.0.7, or db:host-gateway');
  }
  return { name, address };
}

type ResolverLists = Exclude<ResolverSettings, 'image'>;

export function parseResolver(lists: ResolverLists): ResolverSettings | undefined {
  const { servers, search, options } = lists;
  if (servers === undefined && search === undefined && options === undefined) return undefined;
  if (servers?.includes('none')) {
    if (servers.length === 1 && search === undefined && options === undefined) return 'image';
    throw usageError('--dns none goes with no other --dns, --dns-search or --dns-option');
  }
  const wrong = servers?.find((server) => isIP(server) === 0);
  if (wrong !== undefined) throw usageError(`--dns "${wrong}" is not an address`, 'e.g. --dns 9.9.9.9');
  const strange = [...(search ?? []), ...(options ?? [])].find((word) => !/^[\w.:-]+$/.test(word));
  if (strange !== undefined) throw usageError(`"${strange}" cannot stand in resolv.conf`);
  return lists;
}

/** As of hostname(7). */
export function parseHostname(text: string): string {
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i.test(text) && text.length <= 64)
    return text;
  throw usageError(`--hostname "${text}" is not a host name`, 'letters, digits, "-" and ".", 64 at most');
}

const SECONDS: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };

/** `90` seconds, `10m`, `1h30m`; in milliseconds. */
export function parseDuration(option: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)([hms])/g)];
  const isWhole = parts.map(([part]) => part).join('') === text;
  const seconds = /^\d+$/.test(text)
    ? Number(text)
    : parts.reduce((sum, [, count, unit = 's']) => sum + Number(count) * (SECONDS[unit] ?? 1), 0);
  if (!(/^\d+$/.test(text) || isWhole) || seconds <= 0 || seconds > MAX_SECONDS)
    throw usageError(`${option} "${text}" is not a time`, 'e.g. 90s, 10m or 1h30m');
  return seconds * 1000;
}

/** What a timer of Node can wait for. */
const MAX_SECONDS = 2_147_483;

/** `SOURCE:TARGET[:ro|rw]`. */
export function parseVolume(text: string): VolumeSpec {
  const [source = '', target = '', options = 'rw', ...rest] = text.split(':');
  if (source === '' || !target.startsWith('/') || rest.length > 0) {
    throw usageError(`--volume "${text}" is not SOURCE:TARGET[:ro]`, 'the target is an absolute path in the step');
  }
  const clean = posix.resolve(target);
  if (clean === '/') throw usageError(`--volume "${text}" would hide the whole root`, 'choose another target');
  if (options !== 'ro' && options !== 'rw') {
    throw usageError(`--volume "${text}": the option "${options}" is not supported`, 'there are ro and rw');
  }
  return { source, target: clean, readOnly: options === 'ro' };
}
