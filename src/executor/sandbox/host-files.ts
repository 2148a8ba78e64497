import { readFileSync } from 'node:fs';
import { systemErrorCode } from '../../errors.ts';

/** The host's resolver settings; empty where it has none. Steps share the host's network, so its loopback servers work too. */
export function resolvConf(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return '';
    throw error;
  }
}

/** As BuildKit's: nothing of the host's own names. */
export const hostsFile = (hostname: string): string =>
  `127.0.0.1\tlocalhost ${hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n`;
