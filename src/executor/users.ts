import { BuildError } from '../errors.ts';
import type { RootView } from '../layers/index.ts';
import { suggest } from '../parser/index.ts';
import { readFileInRoot } from './rootfs-path.ts';

/** BuildKit reads no more of passwd and group either (containerfile-reference 1.7). */
const MAX_DATABASE_BYTES = 10 * 1024 * 1024;
/** Linux ids are 32 bits; the last is "no id". */
const MAX_ID = 4294967294;

export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly home: string;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

interface PasswdEntry extends Owner {
  readonly name: string;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const parseId = (text: string): number | undefined =>
  /^\d{1,10}$/.test(text) && Number(text) <= MAX_ID ? Number(text) : undefined;

/** The text of /etc/passwd or /etc/group of a root, cut at the limit; undefined where there is none. */
export type ReadDatabase = (file: string, limitBytes: number) => Promise<string | undefined>;

const databasesOf =
  (view: RootView): ReadDatabase =>
  (file, limitBytes) =>
    readFileInRoot(view, file, limitBytes);

async function records(read: ReadDatabase, file: string): Promise<string[][]> {
  const text = (await read(file, MAX_DATABASE_BYTES)) ?? '';
  return text.split('\n').map((line) => line.replace(/\r$/, '').split(':'));
}

async function passwd(read: ReadDatabase): Promise<PasswdEntry[]> {
  return (await records(read, '/etc/passwd')).flatMap(([name = '', , uid = '', gid = '', , home = '']) => {
    const [u, g] = [parseId(uid), parseId(gid)];
    return name === '' || u === undefined || g === undefined ? [] : [{ name, uid: u, gid: g, home }];
  });
}

async function groups(read: ReadDatabase): Promise<GroupEntry[]> {
  return (await records(read, '/etc/group')).flatMap(([name = '', , gid = '', members = '']) => {
    const g = parseId(gid);
    return name === '' || g === undefined ? [] : [{ name, gid: g, members: members.split(',').filter(Boolean) }];
  });
}

interface Missing {
  readonly kind: 'user' | 'group';
  readonly name: string;
  readonly what: string;
  /** The names that the root does have. */
  readonly known: readonly { readonly name: string }[];
}

function unknown({ kind, name, what, known }: Missing): BuildError {
  const file = kind === 'user' ? '/etc/passwd' : '/etc/group';
  const near = suggest(
    name,
    known.map((entry) => entry.name),
  );
  const create = `reate the ${kind} in an earlier RUN (useradd, adduser, addgroup), or use a number`;
  return new BuildError('E_UNKNOWN_USER', `Cannot ${what}: no ${kind} "${name}" in the image's ${file}`, {
    hint: near === undefined ? `C${create}` : `Did you mean "${near}"? Otherwise c${create}`,
  });
}

async function groupId(read: ReadDatabase, group: string, what: string): Promise<number> {
  const known = await groups(read);
  const found = known.find((entry) => entry.name === group)?.gid ?? parseId(group);
  if (found === undefined) throw unknown({ kind: 'group', name: group, what, known });
  return found;
}

/**
 * USER's value (`''` is root): `user[:group]`, names or numbers, from the root's own passwd and group. Without a group:
 * the primary group and the supplementary groups; with one: only that group. Throws `E_UNKNOWN_USER`.
 */
export const resolveUser = (view: RootView, spec: string): Promise<ProcessUser> =>
  resolveUserFrom(databasesOf(view), spec);

/** The same from other databases, e.g. those of a container that runs. */
export async function resolveUserFrom(read: ReadDatabase, spec: string): Promise<ProcessUser> {
  const [user = '', group] = spec.split(':', 2);
  const wanted = user === '' ? '0' : user;
  const users = await passwd(read);
  const byName = users.find((entry) => entry.name === wanted);
  const uid = byName?.uid ?? parseId(wanted);
  if (uid === undefined) throw unknown({ kind: 'user', name: user, what: `run as "${spec}"`, known: users });
  const entry = byName ?? users.find((candidate) => candidate.uid === uid);
  const home = entry?.home || '/';
  if (group !== undefined && group !== '') {
    const gid = await groupId(read, group, `run as "${spec}"`);
    return { uid, gid, groups: [gid], home };
  }
  const gid = entry?.gid ?? 0;
  const name = entry?.name;
  const extra =
    name === undefined ? [] : (await groups(read)).filter((g) => g.members.includes(name)).map((g) => g.gid);
  return { uid, gid, groups: [...new Set([gid, ...extra])].sort((a, b) => a - b), home };
}

/**
 * `--chown`: a number alone is uid and gid; a name alone is the user with the primary group. Throws `E_UNKNOWN_USER`
 * (BuildKit silently takes root; containerfile-reference section 9).
 */
export async function resolveOwner(view: RootView, spec: string): Promise<Owner> {
  const read = databasesOf(view);
  const [user = '', group] = spec.split(':', 2);
  const what = `change the owner to "${spec}"`;
  const number = parseId(user);
  const known = number === undefined && user !== '' ? await passwd(read) : [];
  const entry = known.find((candidate) => candidate.name === user);
  if (user !== '' && number === undefined && entry === undefined)
    throw unknown({ kind: 'user', name: user, what, known });
  const uid = number ?? entry?.uid ?? 0;
  if (group !== undefined && group !== '') return { uid, gid: await groupId(read, group, what) };
  return { uid, gid: entry?.gid ?? (number === undefined ? 0 : number) };
}
