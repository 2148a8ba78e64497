import type { Asking, Handler, Room } from './asking.ts';
import { afterExec } from './credentials.ts';
import type { Answer } from './listener.ts';
import { AT, Errno } from './raw.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, type Located } from './target.ts';

const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
const S_IXGRP = 0o010;
const O_CLOEXEC = 0o2000000;

/** Setuid and setgid files make their owner the effective user (execve(2)): sudo and su rely on it. */
function exec(room: Room, asking: Asking, file: Located | undefined): Answer {
  if (!file) return 'continue';
  const who = asking.who();
  const facts = lookupFacts(room, file);
  if (!facts) return 'continue';
  const isSetuid = (facts.mode & S_ISUID) !== 0;
  const isSetgid = (facts.mode & S_ISGID) !== 0 && (facts.mode & S_IXGRP) !== 0;
  const gains = (isSetuid || isSetgid) && !hasNoNewPrivileges(room, asking.pid);
  const next = afterExec(who, {
    ...(gains && isSetuid ? { uid: facts.uid } : {}),
    ...(gains && isSetgid ? { gid: facts.gid } : {}),
  });
  if (JSON.stringify(next) !== JSON.stringify(who)) room.tickets.give(asking.pid, next);
  return 'continue';
}

function lookupFacts({ records }: Room, file: Located) {
  try {
    return records.facts(file);
  } catch (error) {
    if (error instanceof Errno) return undefined; // the kernel says what is wrong
    throw error;
  }
}

function hasNoNewPrivileges({ kernel }: Room, pid: number): boolean {
  const fd = kernel.try('openat', AT_FDCWD, kernel.path(Buffer.from(`${pid}/status`)), O_CLOEXEC);
  if (fd < 0) return true;
  const length = kernel.try('read', fd, kernel.address(AT.data), 4096);
  kernel.try('close', fd);
  return /^NoNewPrivs:\s*1/m.test(kernel.bytes.toString('latin1', AT.data, AT.data + Math.max(0, length)));
}

/** Programs (execve(2)). */
export const EXEC_ANSWERS: Readonly<Record<string, Handler>> = {
  execve: (room, asking) =>
    exec(room, asking, room.target.locate(asking, { directory: AT_FDCWD, address: asking.arg(0), follow: true })),
  execveat: (room, asking) => {
    const flags = asking.arg(4);
    const place = {
      directory: asking.arg(0),
      address: asking.arg(1),
      flags,
      follow: (flags & AT_SYMLINK_NOFOLLOW) === 0,
    };
    return exec(room, asking, room.target.locate(asking, place));
  },
};
