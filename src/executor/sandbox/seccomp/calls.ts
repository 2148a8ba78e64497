import { libc } from '../../../layers/index.ts';
import { call } from '../syscalls.ts';

const SECCOMP = process.arch === 'x64' ? 317 : 277;
const SECCOMP_SET_MODE_FILTER = 1;

/** Of the calling thread and what it starts (seccomp(2)); the result is a descriptor where a listener is asked for. */
export function setSeccompFilter(program: Buffer, flags: number): number {
  const { koffi } = libc();
  const header = Buffer.alloc(16); // struct sock_fprog: len, filter
  header.writeUInt16LE(program.length / 8, 0);
  header.writeBigUInt64LE(koffi.address(program), 8);
  const prototype = 'long syscall(long number, unsigned int operation, unsigned int flags, const uint8_t *program)';
  return call(prototype, [SECCOMP, SECCOMP_SET_MODE_FILTER, flags, header], { name: 'seccomp', subject: 'filter' });
}

const SECCOMP_GET_ACTION_AVAIL = 2;

/** Whether the kernel knows an action of filters (SECCOMP_RET_*); false where it has no filters. */
export function isSeccompActionKnown(action: number): boolean {
  const asked = Buffer.alloc(4);
  asked.writeUInt32LE(action);
  const prototype = 'long syscall(long number, unsigned int operation, unsigned int flags, const uint8_t *action)';
  try {
    call(prototype, [SECCOMP, SECCOMP_GET_ACTION_AVAIL, 0, asked], { name: 'seccomp', subject: 'action' });
    return true;
  } catch {
    return false; // EOPNOTSUPP: not this one; EINVAL, ENOSYS: none at all
  }
}
