import type { Asking, Handler, Room } from './asking.ts';
import { mayAccess } from './credentials.ts';
import type { Answer } from './listener.ts';
import { AT, EACCES } from './raw.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, type Located } from './target.ts';

/** Where struct stat has st_uid, with st_gid behind it: x86's asm/stat.h, and asm-generic/stat.h. */
const STAT = process.arch === 'x64' ? { uid: 28, bytes: 144 } : { uid: 24, bytes: 128 };
/** linux/stat.h */
const STATX = { uid: 20, bytes: 256 };

interface Showing {
  readonly file: Located | undefined;
  /** Address of the step's buffer. */
  readonly buffer: number;
  readonly form: { readonly uid: number; readonly bytes: number };
  /** Fills the buffer of the arena for a path. */
  readonly look: (path: number, buffer: number, flags: number) => number;
}

/** The kernel answers for all files that record nothing. */
function show({ kernel, target, records }: Room, { pid }: Asking, { file, buffer, form, look }: Showing): Answer {
  const owner = file && records.lookup(file);
  if (!file || !owner) return 'continue';
  const result = look(kernel.path(file.path), kernel.address(AT.stat), file.follow ? 0 : AT_SYMLINK_NOFOLLOW);
  if (result < 0) return { errno: -result };
  const found = Buffer.from(kernel.bytes.subarray(AT.stat, AT.stat + form.bytes));
  found.writeUInt32LE(owner.uid, form.uid);
  found.writeUInt32LE(owner.gid, form.uid + 4);
  target.write(pid, buffer, found);
  return { value: 0 };
}

function showStat(room: Room, asking: Asking, { file, buffer }: Pick<Showing, 'file' | 'buffer'>): Answer {
  const look: Showing['look'] = (path, at, flags) => room.kernel.try('newfstatat', AT_FDCWD, path, at, flags);
  return show(room, asking, { file, buffer, form: STAT, look });
}

const byName =
  (follow: boolean): Handler =>
  (room, asking) => {
    const file = room.target.locate(asking, { directory: AT_FDCWD, address: asking.arg(0), follow });
    return showStat(room, asking, { file, buffer: asking.arg(1) });
  };

const byFlags = ({ target }: Room, asking: Asking, flags: number): Located | undefined => {
  const follow = (flags & AT_SYMLINK_NOFOLLOW) === 0;
  return target.locate(asking, { directory: asking.arg(0), address: asking.arg(1), flags, follow });
};

const statx: Handler = (room, asking) => {
  const file = byFlags(room, asking, asking.arg(2));
  const [flags, mask] = [asking.arg(2), asking.id(3)];
  const look: Showing['look'] = (path, at, follow) => {
    const own = file?.follow ? flags & ~AT_SYMLINK_NOFOLLOW : flags;
    return room.kernel.try('statx', AT_FDCWD, path, (own & ~0x1000) | follow, mask, at);
  };
  return show(room, asking, { file, buffer: asking.arg(4), form: STATX, look });
};

/** Root may everything, and that is what all processes of a step really are: the others are asked here. */
const access =
  (directory: 0 | undefined): Handler =>
  ({ target, records }, asking) => {
    const who = asking.who();
    const [path, mode] = directory === undefined ? [0, 1] : [1, 2];
    const wanted = asking.arg(mode) & 7;
    if (who.uid.real === 0 || wanted === 0) return 'continue';
    const from = directory === undefined ? AT_FDCWD : asking.arg(directory);
    const file = target.locate(asking, { directory: from, address: asking.arg(path), follow: true });
    if (!file) return 'continue';
    const facts = records.facts(file);
    const real = {
      ...who,
      uid: { ...who.uid, filesystem: who.uid.real },
      gid: { ...who.gid, filesystem: who.gid.real },
    };
    return mayAccess(real, facts, wanted) ? 'continue' : { errno: EACCES };
  };

/** What files say of themselves (stat(2), statx(2), access(2)). */
export const STAT_ANSWERS: Readonly<Record<string, Handler>> = {
  stat: byName(true),
  lstat: byName(false),
  fstat: (room, asking) =>
    showStat(room, asking, { file: room.target.descriptor(asking.pid, asking.arg(0)), buffer: asking.arg(1) }),
  newfstatat: (room, asking) =>
    showStat(room, asking, { file: byFlags(room, asking, asking.arg(3)), buffer: asking.arg(2) }),
  statx,
  access: access(undefined),
  faccessat: access(0),
  faccessat2: access(0),
};
