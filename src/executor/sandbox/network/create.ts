import { closeSync, constants, openSync, statSync } from 'node:fs';
import { BuildError, systemErrorCode } from '../../../errors.ts';
import { lookupHelper } from '../id-source.ts';
import { HELPER_KINDS, type RunningHelper, startHelper } from './helper.ts';
import { HELPERS, type HelperName, type NetworkMode } from './mode.ts';
import { type NamespaceOwner, type NetworkNamespace, openNamespace } from './namespace.ts';

/** What a step may ask of its network. */
export type NetworkWish = Pick<NetworkRequest, 'mode' | 'helper' | 'reachesHost'>;

/** The network of one step or container. */
export interface Network {
  readonly kind: 'host' | 'none' | HelperName;
  /**
   * A path that leads every process of this user namespace to the namespace to join (setns(2), `CLONE_NEWNET`), as long as
   * this process runs and `close` was not called. undefined: for `host` none is to be joined; for `none` a new one is made.
   */
  readonly namespace: string | undefined;
  /** Answers for the host's name servers, where those cannot be reached. */
  readonly nameServer: string | undefined;
  /** Where the host's loopback is; undefined: out of reach. */
  readonly hostAddress: string | undefined;
  /** Why it does not lead out any more; undefined: all is well. */
  failure(): string | undefined;
  /** Once everything in it has ended; no process is left afterwards. */
  close(): Promise<void>;
}

export interface NetworkRequest {
  readonly mode: NetworkMode;
  /** For `private`: this one and no other. */
  readonly helper?: HelperName | undefined;
  /** A private network is to reach what listens on the host's loopback, which it does not otherwise. */
  readonly reachesHost?: boolean | undefined;
  /** What `default` is to be, if it works. */
  readonly preferred?: 'host' | 'private' | undefined;
  /** PATH. */
  readonly path?: string | undefined;
  /** Default: `ours`. */
  readonly owner?: NamespaceOwner | undefined;
}

const simple = (kind: 'host' | 'none'): Network => ({
  kind,
  namespace: undefined,
  nameServer: undefined,
  hostAddress: kind === 'host' ? '127.0.0.1' : undefined,
  failure: () => undefined,
  close: () => Promise.resolve(),
});

/**
 * Makes a network: `private` by the first helper that works, ready to be used. Ports are not published here: the proxy of
 * a container reaches every network from outside, with or without a helper. Throws `E_NO_NETWORK` for `private`.
 */
export async function createNetwork(request: NetworkRequest): Promise<Network> {
  switch (request.mode) {
    case 'host':
    case 'none':
      return simple(request.mode);
    case 'private':
      return openPrivate(request);
    case 'default':
      return request.preferred === 'private' ? privateOr('host', request) : simple('host');
    case 'own':
      return privateOr('none', request);
    default:
      return request.mode satisfies never;
  }
}

async function privateOr(other: 'host' | 'none', request: NetworkRequest): Promise<Network> {
  try {
    return await openPrivate(request);
  } catch (error) {
    if (error instanceof BuildError && error.code === 'E_NO_NETWORK') return simple(other);
    throw error;
  }
}

const FALLBACK_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

async function openPrivate({
  helper,
  reachesHost = false,
  path = FALLBACK_PATH,
  owner,
}: NetworkRequest): Promise<Network> {
  const names = helper === undefined ? HELPERS : [helper];
  const installed = names.filter((name) => lookupHelper(name, path) !== undefined);
  if (installed.length === 0) {
    throw refused(`${names.join(' and ')} ${names.length > 1 ? 'are' : 'is'} not installed`, installHint(names));
  }
  const obstacle = tunnelObstacle();
  if (obstacle !== undefined) throw obstacle;
  const complaints: string[] = [];
  for (const name of installed) {
    const namespace = await openNamespace(owner);
    try {
      return asNetwork(name, namespace, await startHelper(name, namespace, { path, reachesHost }));
    } catch (error) {
      namespace.close();
      complaints.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw refused(complaints.join('; '), 'Use --network=host, or make the helper work: "tsbuild info" tries it');
}

function asNetwork(kind: HelperName, namespace: NetworkNamespace, helper: RunningHelper): Network {
  return {
    kind,
    namespace: `/proc/${process.pid}/fd/${namespace.fd}`,
    nameServer: HELPER_KINDS[kind].nameServer,
    hostAddress: helper.hostAddress,
    failure: () => helper.failure(),
    async close() {
      await helper.close();
      namespace.close();
    },
  };
}

const refused = (reason: string, hint: string): BuildError =>
  new BuildError('E_NO_NETWORK', `Cannot set up a private network: ${reason}`, { hint });

const installHint = (names: readonly HelperName[]): string =>
  names.includes('pasta')
    ? 'Use --network=host, or install pasta: apt-get install passt (Fedora: dnf install passt)'
    : 'Use --network=host, or run: apt-get install slirp4netns';

const TUNNEL = '/dev/net/tun';
/** Major 10, minor 200 (Documentation/admin-guide/devices.txt of the kernel), as stat(2) packs them. */
const TUNNEL_NUMBER = (10 << 8) | 200;

/** Both helpers need the device; a container may lack it, and on some hosts only root may open it. */
function tunnelObstacle(): BuildError | undefined {
  try {
    closeSync(openSync(TUNNEL, constants.O_RDWR));
    // pasta of 2023 takes anything for it, and leads nowhere
    if (statSync(TUNNEL).rdev === TUNNEL_NUMBER) return undefined;
    return refused(`${TUNNEL} is not the tunnel device`, `Use --network=host, or make it: mknod ${TUNNEL} c 10 200`);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT') {
      return refused(
        `there is no ${TUNNEL}`,
        'Use --network=host, or as root run "modprobe tun"; in a container, start it with --device /dev/net/tun',
      );
    }
    return refused(`${TUNNEL} cannot be opened (${code})`, `Use --network=host, or as root run: chmod 0666 ${TUNNEL}`);
  }
}
