import type { Asking, Handler, Room } from './asking.ts';
import {
  type Change,
  type Credentials,
  type Ids,
  KEEP,
  setFilesystem,
  setId,
  setRealEffective,
  setThree,
  withUsers,
} from './credentials.ts';
import type { Answer } from './listener.ts';
import { EINVAL, EPERM } from './raw.ts';

type Kind = 'uid' | 'gid';

const NGROUPS_MAX = 65536;

const withIds = (who: Credentials, kind: Kind, ids: Ids): Credentials =>
  kind === 'uid' ? withUsers(who, ids) : { ...who, gid: ids };

const change =
  (kind: Kind, next: (ids: Ids, asking: Asking, privileged: boolean) => Change<Ids>): Handler =>
  ({ tickets }, asking) => {
    const who = asking.who();
    const ids = next(who[kind], asking, who.capable);
    if (!ids) return { errno: EPERM };
    tickets.give(asking.pid, withIds(who, kind, ids));
    return { value: 0 };
  };

const single = (kind: Kind): Handler => {
  const set = change(kind, (ids, asking, privileged) => setId(ids, asking.id(0), privileged));
  return (room, asking) => (asking.id(0) === KEEP ? { errno: EINVAL } : set(room, asking));
};

const two = (kind: Kind): Handler =>
  change(kind, (ids, asking, privileged) =>
    setRealEffective(ids, { real: asking.id(0), effective: asking.id(1) }, privileged),
  );

const three = (kind: Kind): Handler =>
  change(kind, (ids, asking, privileged) =>
    setThree(ids, { real: asking.id(0), effective: asking.id(1), saved: asking.id(2) }, privileged),
  );

const filesystem =
  (kind: Kind): Handler =>
  ({ tickets }, asking) => {
    const who = asking.who();
    const ids = setFilesystem(who[kind], asking.id(0), who.capable);
    tickets.give(asking.pid, { ...who, [kind]: ids });
    return { value: who[kind].filesystem };
  };

const get =
  (pick: (who: Credentials) => number): Handler =>
  (_, asking) => ({ value: pick(asking.who()) });

const getThree =
  (kind: Kind): Handler =>
  ({ target }, asking) => {
    const { real, effective, saved } = asking.who()[kind];
    [real, effective, saved].forEach((id, index) => {
      target.write(asking.pid, asking.arg(index), words([id]));
    });
    return { value: 0 };
  };

function getGroups({ target }: Room, asking: Asking): Answer {
  const { groups } = asking.who();
  const size = asking.arg(0) | 0;
  if (size === 0) return { value: groups.length };
  if (size < groups.length) return { errno: EINVAL };
  if (groups.length > 0) target.write(asking.pid, asking.arg(1), words(groups));
  return { value: groups.length };
}

function setGroups({ target, tickets }: Room, asking: Asking): Answer {
  const who = asking.who();
  const count = asking.arg(0) | 0;
  if (!who.capable) return { errno: EPERM };
  if (count < 0 || count > NGROUPS_MAX) return { errno: EINVAL };
  const list = count === 0 ? Buffer.alloc(0) : target.read(asking.pid, asking.arg(1), count * 4);
  const groups = Array.from({ length: count }, (_, index) => list.readUInt32LE(index * 4));
  tickets.give(asking.pid, { ...who, groups: groups.sort((a, b) => a - b) });
  return { value: 0 };
}

/** linux/prctl.h and linux/securebits.h; the filter asks about these two only. */
const PR_SET_KEEPCAPS = 8;
const KEEP_CAPS = 1 << 4;
const NO_SETUID_FIXUP = 1 << 2;

function keepCapabilities({ tickets }: Room, asking: Asking): Answer {
  const value = asking.id(1);
  const isKept = asking.id(0) === PR_SET_KEEPCAPS ? value === 1 : (value & (KEEP_CAPS | NO_SETUID_FIXUP)) !== 0;
  tickets.give(asking.pid, { ...asking.who(), keepsCapabilities: isKept });
  return 'continue';
}

const UNLIMITED = Buffer.alloc(16, 0xff);

/** RLIMIT_LOCKS, where the tickets are. */
function showLocks({ target }: Room, { pid }: Asking, address: number): Answer {
  if (address !== 0) target.write(pid, address, UNLIMITED);
  return { value: 0 };
}

function words(ids: readonly number[]): Buffer {
  const bytes = Buffer.alloc(ids.length * 4);
  ids.forEach((id, index) => {
    bytes.writeUInt32LE(id, index * 4);
  });
  return bytes;
}

/** Who a process is (credentials(7)). */
export const ID_ANSWERS: Readonly<Record<string, Handler>> = {
  getuid: get(({ uid }) => uid.real),
  geteuid: get(({ uid }) => uid.effective),
  getgid: get(({ gid }) => gid.real),
  getegid: get(({ gid }) => gid.effective),
  getresuid: getThree('uid'),
  getresgid: getThree('gid'),
  getgroups: getGroups,
  setuid: single('uid'),
  setgid: single('gid'),
  setreuid: two('uid'),
  setregid: two('gid'),
  setresuid: three('uid'),
  setresgid: three('gid'),
  setfsuid: filesystem('uid'),
  setfsgid: filesystem('gid'),
  setgroups: setGroups,
  prctl: keepCapabilities,
  // pam_limits sets every limit of a session: this one stays, and looks as it does everywhere
  setrlimit: () => ({ value: 0 }),
  getrlimit: (room, asking) => showLocks(room, asking, asking.arg(1)),
  prlimit64: (room, asking) => showLocks(room, asking, asking.arg(3)),
};
