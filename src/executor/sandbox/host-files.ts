import { readFileSync } from 'node:fs';
import { systemErrorCode } from '../../errors.ts';
import { type Network, reachableResolvConf } from './network/index.ts';
import { HOST_GATEWAY, type HostEntry, type ResolverSettings } from './settings.ts';

/** The host's resolver settings; empty where it has none. */
export function resolvConf(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return '';
    throw error;
  }
}

/** What `--dns` and its sisters make of the host's settings; undefined: the image's own file is used. */
export function stepResolvConf(
  settings: ResolverSettings | undefined,
  network: Pick<Network, 'nameServer'>,
): string | undefined {
  if (settings === 'image') return undefined;
  const host = reachableResolvConf(resolvConf(), network);
  if (settings === undefined) return host;
  const { servers, search, options } = settings;
  const replaced = [servers && 'nameserver', search && 'search', search && 'domain', options && 'options'];
  const kept = host.split('\n').filter((line) => line !== '' && !replaced.includes(/^\s*(\w+)/.exec(line)?.[1]));
  const lines = [
    ...(servers ?? []).map((server) => `nameserver ${server}`),
    ...(search === undefined || search.join() === '.' ? [] : [`search ${search.join(' ')}`]),
    ...(options === undefined ? [] : [`options ${options.join(' ')}`]),
  ];
  return `${[...lines, ...kept].join('\n')}\n`;
}

/** As BuildKit's: nothing of the host's own names. A name for a host out of reach is left out. */
export const hostsFile = (
  hostname: string,
  extra: readonly HostEntry[],
  { hostAddress }: Pick<Network, 'hostAddress'>,
): string =>
  [
    `127.0.0.1\tlocalhost ${hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n`,
    ...extra.flatMap(({ name, address }) => {
      const known = address === HOST_GATEWAY ? hostAddress : address;
      return known === undefined ? [] : [`${known}\t${name}\n`];
    }),
  ].join('');
