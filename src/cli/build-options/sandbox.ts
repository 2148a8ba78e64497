import type { Command } from 'commander';
import { ISOLATIONS, type SandboxOptions } from '../../index.ts';
import {
  parseDuration,
  parseHost,
  parseHostname,
  parseResolver,
  parseSize,
  parseUlimit,
  parseVolume,
} from '../sandbox-values.ts';
import { parseSecurity } from '../security-option.ts';
import { usageError } from '../usage.ts';
import { choice, collect, parseBoolean } from '../values.ts';
import { type LimitFlags, limitsOf } from './limits.ts';

/** What RUN steps run in. */
export interface SandboxFlags extends LimitFlags {
  readonly volume?: readonly string[];
  readonly mount?: readonly string[];
  readonly addHost?: readonly string[];
  readonly dns?: readonly string[];
  readonly dnsSearch?: readonly string[];
  readonly dnsOption?: readonly string[];
  readonly httpProxy: string;
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly securityOpt?: readonly string[];
  readonly hostname?: string;
  readonly timeout?: string;
  readonly onFailure: string;
  readonly isolation: string;
  readonly runtime?: string;
  readonly shmSize?: string;
  readonly ulimit?: readonly string[];
}

export function addSandboxOptions(command: Command): Command {
  return command
    .optionsGroup('Steps (RUN):')
    .option(
      '-v, --volume <source:target[:ro]>',
      'show a directory or file of this machine to every RUN; no part of the cache key (repeatable)',
      collect,
    )
    .option('--mount <spec>', 'give every RUN this --mount (repeatable)', collect)
    .option(
      '--add-host <name:address>',
      'line of /etc/hosts; "host-gateway" is this machine, whose loopback a private network then reaches (repeatable)',
      collect,
    )
    .option(
      '--dns <address>',
      'name server instead of those of this machine; none: /etc/resolv.conf of the image',
      collect,
    )
    .option('--dns-search <domain>', 'search domain instead of those of this machine; ".": none (repeatable)', collect)
    .option('--dns-option <option>', 'resolver option instead of those of this machine (repeatable)', collect)
    .option('--http-proxy <bool>', "show the caller's proxy variables to RUN; they are in no cache key", 'false')
    .option('--cap-add <name>', 'leave RUN this capability, or ALL (repeatable)', collect)
    .option('--cap-drop <name>', 'take this capability from RUN, or ALL (repeatable)', collect)
    .option(
      '--security-opt <option>',
      "seccomp=FILE or seccomp=unconfined (default: Docker's profile), no-new-privileges; label=disable and apparmor=unconfined are always so (repeatable)",
      collect,
    )
    .option('--hostname <name>', 'host name that RUN sees (default: tsbuild)')
    .option('--timeout <time>', 'end a RUN that takes longer, as a failure: 90s, 10m, 1h30m')
    .option('--on-failure <what>', 'stop, or shell: look into the root of the RUN that failed, at a terminal', 'stop')
    .option('--isolation <kind>', 'what keeps RUN in: auto, builtin, oci (crun, runc or youki), chroot', 'auto')
    .option('--runtime <program>', 'the one for --isolation oci, by its path or name')
    .option('--shm-size <size>', 'size of /dev/shm (default: 64m)')
    .option('--ulimit <name=soft[:hard]>', 'limit of each process, as of ulimit (repeatable)', collect);
}

const listed = (values: readonly string[] = []): readonly string[] => values.flatMap((value) => value.split(','));

/** `default` is docker's word for it. */
function isolationOf({ isolation, runtime }: SandboxFlags): SandboxOptions['isolation'] {
  const kind = isolation === 'default' ? 'auto' : choice('--isolation', isolation, ISOLATIONS);
  if (runtime !== undefined && kind !== 'oci') throw usageError('--runtime needs --isolation oci');
  return kind;
}

export function sandboxOptions(flags: SandboxFlags): SandboxOptions {
  const { noNewPrivileges, seccomp } = parseSecurity(flags.securityOpt ?? []);
  return {
    volumes: (flags.volume ?? []).map(parseVolume),
    mounts: flags.mount ?? [],
    capabilities: { add: listed(flags.capAdd), drop: listed(flags.capDrop) },
    httpProxy: parseBoolean('--http-proxy', flags.httpProxy),
    seccomp,
    isolation: isolationOf(flags),
    runtime: flags.runtime,
    onFailure: choice('--on-failure', flags.onFailure, ['stop', 'shell'] as const),
    timeoutMs: flags.timeout === undefined ? undefined : parseDuration('--timeout', flags.timeout),
    sandbox: {
      noNewPrivileges,
      limits: limitsOf(flags),
      hostname: flags.hostname === undefined ? undefined : parseHostname(flags.hostname),
      ulimits: (flags.ulimit ?? []).map(parseUlimit),
      hosts: (flags.addHost ?? []).map(parseHost),
      resolver: parseResolver({
        servers: flags.dns && listed(flags.dns),
        search: flags.dnsSearch && listed(flags.dnsSearch),
        options: flags.dnsOption && listed(flags.dnsOption),
      }),
      shmSizeBytes: flags.shmSize === undefined ? undefined : parseSize('--shm-size', flags.shmSize),
    },
  };
}
