import { OWNER_XATTR } from '../../../layers/index.ts';
import type { Asking, Handler, Room } from './asking.ts';
import type { Answer } from './listener.ts';
import { ENODATA, ERANGE } from './raw.ts';
import { AT_FDCWD, type Located } from './target.ts';

type Find = (room: Room, asking: Asking) => Located | undefined;

const byName =
  (follow: boolean): Find =>
  ({ target }, asking) =>
    target.locate(asking, { directory: AT_FDCWD, address: asking.arg(0), follow });

const byDescriptor: Find = ({ target }, asking) => target.descriptor(asking.pid, asking.arg(0) | 0);

/** Our notes are not the step's: cp -a would give one file's owner to another. */
const list =
  (find: Find): Handler =>
  (room, asking) => {
    const file = find(room, asking);
    const names = file && room.records.visibleNames(file);
    if (!names) return 'continue';
    const size = asking.arg(2);
    if (size > 0 && size < names.length) return { errno: ERANGE };
    if (size > 0 && names.length > 0) room.target.write(asking.pid, asking.arg(1), names);
    return { value: names.length };
  };

/** The name that is ours is no attribute for a step, which no layer would have either. */
const ours =
  (answer: Answer): Handler =>
  ({ target }, asking) =>
    target.string(asking.pid, asking.arg(1)).toString('latin1') === OWNER_XATTR ? answer : 'continue';

/** Extended attributes (xattr(7)). */
export const ATTRIBUTE_ANSWERS: Readonly<Record<string, Handler>> = {
  listxattr: list(byName(true)),
  llistxattr: list(byName(false)),
  flistxattr: list(byDescriptor),
  setxattr: ours({ value: 0 }),
  lsetxattr: ours({ value: 0 }),
  fsetxattr: ours({ value: 0 }),
  removexattr: ours({ errno: ENODATA }),
  lremovexattr: ours({ errno: ENODATA }),
  fremovexattr: ours({ errno: ENODATA }),
};
