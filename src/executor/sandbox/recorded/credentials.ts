/** What a process believes to be (credentials(7)). */
export interface Credentials {
  readonly uid: Ids;
  readonly gid: Ids;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  /** It has its capabilities: as a rule where the effective user is 0. */
  readonly capable: boolean;
  /** They stay when it becomes another user (PR_SET_KEEPCAPS). */
  readonly keepsCapabilities: boolean;
}

/** One set of user or group ids. */
export interface Ids {
  readonly real: number;
  readonly effective: number;
  readonly saved: number;
  readonly filesystem: number;
}

/** undefined: EPERM. */
export type Change<T> = T | undefined;

/** "Unchanged" in an argument. */
export const KEEP = 0xffffffff;

export const sameIds = (id: number): Ids => ({ real: id, effective: id, saved: id, filesystem: id });

export const credentialsOf = (uid: number, gid: number, groups: readonly number[]): Credentials => ({
  uid: sameIds(uid),
  gid: sameIds(gid),
  groups,
  capable: uid === 0,
  keepsCapabilities: false,
});

/** With other user ids; capabilities come and go with them (capabilities(7), "Effect of user ID changes"). */
export const withUsers = (who: Credentials, uid: Ids): Credentials => ({
  ...who,
  uid,
  capable: uid.effective === 0 || (who.keepsCapabilities && who.capable),
});

/** setuid(2), setgid(2) */
export function setId(ids: Ids, wanted: number, privileged: boolean): Change<Ids> {
  if (privileged) return sameIds(wanted);
  if (wanted !== ids.real && wanted !== ids.saved) return undefined;
  return { ...ids, effective: wanted, filesystem: wanted };
}

/** setreuid(2), setregid(2) */
export function setRealEffective(
  ids: Ids,
  { real, effective }: { readonly real: number; readonly effective: number },
  privileged: boolean,
): Change<Ids> {
  const mayBeReal = real === KEEP || privileged || real === ids.real || real === ids.effective;
  const mayBeEffective = effective === KEEP || privileged || Object.values(threeOf(ids)).includes(effective);
  if (!mayBeReal || !mayBeEffective) return undefined;
  const next = { real: real === KEEP ? ids.real : real, effective: effective === KEEP ? ids.effective : effective };
  const isSaved = real !== KEEP || (effective !== KEEP && effective !== ids.real);
  return { ...next, saved: isSaved ? next.effective : ids.saved, filesystem: next.effective };
}

/** setresuid(2), setresgid(2) */
export function setThree(
  ids: Ids,
  wanted: { readonly real: number; readonly effective: number; readonly saved: number },
  privileged: boolean,
): Change<Ids> {
  const known = Object.values(threeOf(ids));
  const isAllowed = Object.values(wanted).every((id) => id === KEEP || privileged || known.includes(id));
  if (!isAllowed) return undefined;
  const pick = (id: number, old: number): number => (id === KEEP ? old : id);
  const effective = pick(wanted.effective, ids.effective);
  return {
    real: pick(wanted.real, ids.real),
    effective,
    saved: pick(wanted.saved, ids.saved),
    filesystem: effective,
  };
}

/** setfsuid(2), setfsgid(2): never an error, the answer is the id of before. */
export function setFilesystem(ids: Ids, wanted: number, privileged: boolean): Ids {
  const isAllowed = privileged || Object.values(ids).includes(wanted);
  return isAllowed && wanted !== KEEP ? { ...ids, filesystem: wanted } : ids;
}

/** execve(2): the ids of a setuid or setgid file, and what is effective is saved. */
export function afterExec(who: Credentials, owner: { readonly uid?: number; readonly gid?: number }): Credentials {
  const uid = executed(who.uid, owner.uid);
  const gid = executed(who.gid, owner.gid);
  return { ...who, uid, gid, capable: uid.effective === 0, keepsCapabilities: false };
}

function executed(ids: Ids, owner: number | undefined): Ids {
  const effective = owner ?? ids.effective;
  return { real: ids.real, effective, saved: effective, filesystem: effective };
}

const threeOf = ({ real, effective, saved }: Ids) => ({ real, effective, saved });

export const isInGroup = ({ gid, groups }: Credentials, group: number): boolean =>
  gid.filesystem === group || groups.includes(group);

/** Bits of access(2): 4 read, 2 write, 1 execute. Of the mode the class of the asker counts (path_resolution(7)). */
export function mayAccess(
  credentials: Credentials,
  file: { readonly uid: number; readonly gid: number; readonly mode: number },
  wanted: number,
): boolean {
  if (credentials.uid.filesystem === 0 || credentials.capable) return true;
  const shift = credentials.uid.filesystem === file.uid ? 6 : isInGroup(credentials, file.gid) ? 3 : 0;
  return ((file.mode >> shift) & wanted) === wanted;
}

/** chown(2) of somebody who is not root: only to an own group. */
export function mayGive(
  credentials: Credentials,
  owner: { readonly uid: number; readonly gid: number },
  wanted: { readonly uid: number; readonly gid: number },
): boolean {
  if (credentials.capable) return true;
  if (credentials.uid.filesystem !== owner.uid) return false;
  const keepsUser = wanted.uid === KEEP || wanted.uid === owner.uid;
  const keepsGroup = wanted.gid === KEEP || wanted.gid === owner.gid;
  return keepsUser && (keepsGroup || isInGroup(credentials, wanted.gid));
}
