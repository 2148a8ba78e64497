import type { Asking, Handler, Room } from './asking.ts';
import { KEEP, mayGive } from './credentials.ts';
import type { Answer } from './listener.ts';
import { EPERM } from './raw.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, type Located } from './target.ts';

interface Wanted {
  readonly file: Located | undefined;
  readonly uid: number;
  readonly gid: number;
}

/**
 * A real chown to the one id that there is does all that chown(2) does beside (it is refused on read-only mounts, takes setuid
 * bits and capabilities away, changes the ctime); then the owner is recorded.
 */
function give({ kernel, records }: Room, asking: Asking, { file, uid, gid }: Wanted): Answer {
  if (!file) return 'continue';
  const old = records.facts(file);
  if (!mayGive(asking.who(), old, { uid, gid })) return { errno: EPERM };
  const flags = file.follow ? 0 : AT_SYMLINK_NOFOLLOW;
  kernel.call('fchownat', AT_FDCWD, kernel.path(file.path), 0, 0, flags);
  records.set(file, { uid: uid === KEEP ? old.uid : uid, gid: gid === KEEP ? old.gid : gid });
  return { value: 0 };
}

const byName =
  (follow: boolean): Handler =>
  (room, asking) => {
    const file = room.target.locate(asking, { directory: AT_FDCWD, address: asking.arg(0), follow });
    return give(room, asking, { file, uid: asking.id(1), gid: asking.id(2) });
  };

/** chown(2) */
export const OWNER_ANSWERS: Readonly<Record<string, Handler>> = {
  chown: byName(true),
  lchown: byName(false),
  fchown: (room, asking) =>
    give(room, asking, {
      file: room.target.descriptor(asking.pid, asking.arg(0) | 0),
      uid: asking.id(1),
      gid: asking.id(2),
    }),
  fchownat: (room, asking) => {
    const flags = asking.arg(4) & (AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
    const follow = (flags & AT_SYMLINK_NOFOLLOW) === 0;
    const place = { directory: asking.arg(0), address: asking.arg(1), flags, follow };
    return give(room, asking, { file: room.target.locate(asking, place), uid: asking.id(2), gid: asking.id(3) });
  },
};
