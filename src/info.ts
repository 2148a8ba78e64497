import { availableParallelism } from 'node:os';
import type { InfoReport, SessionOptions } from './api.ts';
import { defaultRoot, isRoot } from './assembly.ts';
import { probeHost } from './executor/index.ts';
import { formatPlatform, hostPlatform } from './oci/index.ts';

/** What this machine allows and where the state lies; changes nothing. */
export async function info(options: SessionOptions): Promise<InfoReport> {
  const lines = [
    { name: 'state directory', value: options.root ?? defaultRoot(options.env) },
    { name: 'user', value: isRoot() ? 'root' : `ordinary (uid ${process.getuid?.() ?? '?'})` },
    { name: 'platform', value: formatPlatform(hostPlatform()) },
    { name: 'processors', value: String(availableParallelism()) },
    { name: 'node', value: process.version },
    ...(await probeHost(options.env)),
  ];
  return { lines };
}
