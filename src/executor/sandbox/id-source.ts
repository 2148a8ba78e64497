import { existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { BuildError, systemErrorCode } from '../../errors.ts';
import type { Owners } from '../../layers/index.ts';
import { type IdRange, identityMap, parseIdMap, subordinateMap } from './id-map.ts';

/** The maps that this user may give to a namespace, and who may write them. */
export interface IdMaps {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
  /** `single`: the user itself, who may map its own id only, and no groups (user_namespaces(7)). */
  readonly writer: 'self' | 'newuidmap' | 'single';
}

/** How files say whose they are in a namespace with these maps. */
export const ownersWith = ({ writer }: IdMaps): Owners => (writer === 'single' ? 'recorded' : 'real');

/** What everybody may have: the user is root, and nobody else is there. */
export function singleIdMaps(): IdMaps {
  const only = (outside: number) => [{ inside: 0, outside, count: 1 }];
  return { uids: only(process.geteuid?.() ?? 0), gids: only(process.getegid?.() ?? 0), writer: 'single' };
}

/** The best maps that this user can have. `owners`: asked for; absent: real ones where they are possible. */
export function chooseIdMaps({
  path,
  owners,
}: {
  readonly path?: string | undefined;
  readonly owners?: Owners | undefined;
}): IdMaps {
  if (owners === 'recorded') return singleIdMaps();
  try {
    return resolveIdMaps(path);
  } catch (error) {
    if (owners === 'real' || !(error instanceof BuildError) || error.code !== 'E_NO_SUBUID') throw error;
    return singleIdMaps();
  }
}

const HELPER_PLACES = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin', '/run/wrappers/bin'];

/** The absolute path of `newuidmap` or `newgidmap`, if it is installed. */
export const lookupHelper = (name: string, path = ''): string | undefined =>
  [...path.split(':').filter(Boolean), ...HELPER_PLACES]
    .map((directory) => `${directory}/${name}`)
    .find((file) => existsSync(file));

const readOptional = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return '';
    throw error;
  }
};

function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // No entry in passwd (an arbitrary uid in a container): sub-ids may still be given by number.
    return undefined;
  }
}

/** Root maps all ids that it has to themselves; a user gets itself as 0 and its sub-ids after it. Throws `E_NO_SUBUID`. */
export function resolveIdMaps(path?: string): IdMaps {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  if (uid === 0) {
    const own = (kind: string) => identityMap(parseIdMap(readFileSync(`/proc/self/${kind}_map`, 'utf8')));
    return { uids: own('uid'), gids: own('gid'), writer: 'self' };
  }
  const owner = { name: userName(), id: uid };
  const uids = subordinateMap(readOptional('/etc/subuid'), owner, uid);
  const gids = subordinateMap(readOptional('/etc/subgid'), owner, gid);
  const label = owner.name ?? String(uid);
  if (uids.length === 0 || gids.length === 0) {
    const missing = uids.length === 0 ? '/etc/subuid' : '/etc/subgid';
    throw new BuildError(
      'E_NO_SUBUID',
      `Cannot run steps as user "${label}": it has no ids of its own in "${missing}"`,
      {
        hint: `As root, run: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${label}`,
      },
    );
  }
  if (lookupHelper('newuidmap', path) === undefined || lookupHelper('newgidmap', path) === undefined) {
    throw new BuildError(
      'E_NO_SUBUID',
      `Cannot run steps as user "${label}": newuidmap and newgidmap are not installed`,
      {
        hint: 'As root, run: apt-get install uidmap (Fedora: dnf install shadow-utils)',
      },
    );
  }
  return { uids, gids, writer: 'newuidmap' };
}
