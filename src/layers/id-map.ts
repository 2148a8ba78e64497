import { readFileSync } from 'node:fs';
import { BuildError } from '../errors.ts';

interface IdRange {
  readonly first: number;
  readonly count: number;
}

/** Columns: first id inside, first id outside, count (user_namespaces(7)). */
const parseMap = (text: string): readonly IdRange[] =>
  text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [first = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
      return { first, count };
    });

/** Which owners this process can give to files. */
export class IdMap {
  readonly #uids: readonly IdRange[];
  readonly #gids: readonly IdRange[];

  constructor(uidMap: string, gidMap: string) {
    this.#uids = parseMap(uidMap);
    this.#gids = parseMap(gidMap);
  }

  static ofThisProcess(): IdMap {
    return new IdMap(readFileSync('/proc/self/uid_map', 'utf8'), readFileSync('/proc/self/gid_map', 'utf8'));
  }

  /** Throws `E_ID_NOT_MAPPED`: an image whose owners were silently changed would not be the same image. */
  check({ path, uid, gid }: { readonly path: string; readonly uid: number; readonly gid: number }): void {
    if (!within(this.#uids, uid))
      throw notMapped(path, { what: 'user', id: uid, file: '/etc/subuid', ranges: this.#uids });
    if (!within(this.#gids, gid))
      throw notMapped(path, { what: 'group', id: gid, file: '/etc/subgid', ranges: this.#gids });
  }
}

const within = (ranges: readonly IdRange[], id: number): boolean =>
  ranges.some(({ first, count }) => id >= first && id < first + count);

interface Unmapped {
  readonly what: 'user' | 'group';
  readonly id: number;
  readonly file: string;
  readonly ranges: readonly IdRange[];
}

function notMapped(path: string, { what, id, file, ranges }: Unmapped): BuildError {
  const last = Math.max(0, ...ranges.map(({ first, count }) => first + count - 1));
  return new BuildError(
    'E_ID_NOT_MAPPED',
    `Cannot give "/${path}" to ${what} ${id}: only ids up to ${last} exist in this user namespace`,
    {
      hint: `Give your user a larger range in ${file}, for example "NAME:100000:${Math.max(65536, id + 1)}", or run as root`,
      fields: { path: `/${path}`, id },
    },
  );
}
