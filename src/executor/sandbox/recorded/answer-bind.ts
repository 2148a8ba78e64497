import { makeOwned, plan } from './answer-create.ts';
import type { Asking, Handler, Room } from './asking.ts';
import type { Answer } from './listener.ts';
import { AT } from './raw.ts';
import { AT_FDCWD } from './target.ts';

const AF_UNIX = 1;
/** struct sockaddr_un: family, then sun_path. */
const SOCKADDR_UN_BYTES = 110;
const FAMILY_BYTES = 2;

/** A socket in the file system is a file with an owner (unix(7)); it is bound here, to the step's own socket. */
function bind(room: Room, asking: Asking): Answer {
  const { kernel, target } = room;
  const length = asking.arg(2) | 0;
  if (length <= FAMILY_BYTES || length > SOCKADDR_UN_BYTES) return 'continue';
  const address = target.read(asking.pid, asking.arg(1), length);
  const isNamed = address.readUInt16LE(0) === AF_UNIX && address[FAMILY_BYTES] !== 0;
  if (!isNamed) return 'continue';
  const name = untilNul(address.subarray(FAMILY_BYTES));
  const planned = plan(room, asking, target.place(asking.pid, AT_FDCWD, name));
  if (typeof planned === 'string' || !('path' in planned)) return planned;
  if (planned.path.length >= SOCKADDR_UN_BYTES - FAMILY_BYTES) return 'continue';
  return withDescriptor(room, asking, (socket) =>
    makeOwned(room, asking.pid, planned, () => {
      const own = Buffer.concat([address.subarray(0, FAMILY_BYTES), planned.path, Buffer.alloc(1)]);
      own.copy(kernel.bytes, AT.otherPath);
      return kernel.try('bind', socket, kernel.address(AT.otherPath), own.length);
    }),
  );
}

function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

function withDescriptor({ kernel }: Room, { pid, arg }: Asking, work: (fd: number) => Answer): Answer {
  const process = kernel.try('pidfd_open', pid);
  if (process < 0) return 'continue'; // not the leader of its threads: the socket is root's then
  const socket = kernel.try('pidfd_getfd', process, arg(0) | 0);
  kernel.try('close', process);
  if (socket < 0) return { errno: -socket };
  try {
    return work(socket);
  } finally {
    kernel.try('close', socket);
  }
}

export const BIND_ANSWERS: Readonly<Record<string, Handler>> = { bind };
