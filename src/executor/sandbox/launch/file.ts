import { readFileSync, writeSync } from 'node:fs';
import { systemErrorCode } from '../../../errors.ts';
import { call } from '../syscalls.ts';
import { DATA_OFFSET, type Program } from './program.ts';

/** linux/memfd.h */
const MFD = { closeOnExec: 0x1, sealable: 0x2, executable: 0x10 } as const;
const F_ADD_SEALS = 1033;
/** No further seals, no other size, no other content. */
const SEALS = 0x1 | 0x2 | 0x4 | 0x8;

function createMemoryFile(): number {
  const create = (flags: number): number =>
    call('int memfd_create(const char *name, unsigned int flags)', ['tsbuild', flags], {
      name: 'memfd_create',
      subject: 'tsbuild',
    });
  try {
    return create(MFD.closeOnExec | MFD.sealable | MFD.executable);
  } catch (error) {
    if (systemErrorCode(error) !== 'EINVAL') throw error;
    return create(MFD.closeOnExec | MFD.sealable); // before Linux 6.3 every one is executable
  }
}

/** Puts a program into a file in memory that nobody can change, closed on exec; to be started as `/proc/self/fd/NUMBER`. */
export function openProgram({ head, data }: Program): number {
  const fd = createMemoryFile();
  writeSync(fd, head, 0, head.length, 0);
  writeSync(fd, data, 0, data.length, DATA_OFFSET);
  call('int fcntl(int fd, int command, long argument)', [fd, F_ADD_SEALS, SEALS], {
    name: 'fcntl',
    subject: 'F_ADD_SEALS',
  });
  return fd;
}

/** Whether files in memory may be executed (Documentation/admin-guide/sysctl/vm.rst of the kernel). */
export function mayExecuteMemory(): boolean {
  try {
    return Number(readFileSync('/proc/sys/vm/memfd_noexec', 'utf8')) < 2;
  } catch {
    return true; // before Linux 6.3
  }
}
