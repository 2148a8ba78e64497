import { describe, expect, it } from 'vitest';
import { getArchitecture } from '../../../../src/executor/sandbox/seccomp/architecture.ts';
import { compileProfile, DEFAULT_PROFILE } from '../../../../src/executor/sandbox/seccomp/index.ts';
import { AUDIT, answerOf } from './interpreter.ts';

const DEFAULT = ['CHOWN', 'SYS_CHROOT', 'MKNOD'];
const X86_64 = getArchitecture('x86_64').numbers;

function answer(name: string, args: readonly bigint[] = [], capabilities: readonly string[] = DEFAULT): string {
  const program = compileProfile(DEFAULT_PROFILE, { architecture: 'x86_64', capabilities, kernel: '6.1.0' });
  return answerOf(program, { number: X86_64.get(name) ?? -1, audit: AUDIT.x86_64, args });
}

describe('The default profile', () => {
  it('refuses what Docker 28 refuses', () => {
    const program = compileProfile(DEFAULT_PROFILE, { architecture: 'x86_64', capabilities: DEFAULT, kernel: '6.1.0' });
    const refused = [...X86_64]
      .filter(([, number]) => answerOf(program, { number, audit: AUDIT.x86_64, args: [0n] }) !== 'allow')
      .map(([name]) => name);
    expect(refused.join(' ')).toMatchInlineSnapshot(
      `"syslog uselib ustat sysfs vhangup pivot_root _sysctl acct settimeofday mount umount2 swapon swapoff reboot sethostname setdomainname iopl ioperm create_module init_module delete_module get_kernel_syms query_module quotactl nfsservctl getpmsg putpmsg afs_syscall tuxcall security lookup_dcookie clock_settime vserver mbind set_mempolicy get_mempolicy kexec_load add_key request_key keyctl migrate_pages unshare move_pages perf_event_open fanotify_init open_by_handle_at setns kcmp finit_module kexec_file_load bpf userfaultfd uprobe io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen fsconfig fsmount fspick clone3 pidfd_getfd process_madvise mount_setattr quotactl_fd set_mempolicy_home_node lsm_get_self_attr lsm_set_self_attr lsm_list_modules open_tree_attr file_getattr file_setattr listns rseq_slice_yield"`,
    );
  });

  it('lets a capability use its calls', () => {
    expect(answer('mount')).toBe('errno 1');
    expect(answer('mount', [], ['SYS_ADMIN'])).toBe('allow');
    expect(answer('syslog', [], ['SYSLOG'])).toBe('allow');
    expect(answer('chroot', [], [])).toBe('errno 1');
    expect(answer('clone3')).toBe('errno 38');
    expect(answer('clone3', [], ['SYS_ADMIN'])).toBe('allow');
  });

  it('makes no namespaces, and processes and threads of any kind', () => {
    const [fork, thread, CLONE_NEWUSER] = [0x11n, 0x3d0f00n, 0x10000000n];
    expect([fork, thread, CLONE_NEWUSER | fork].map((flags) => answer('clone', [flags]))).toEqual([
      'allow',
      'allow',
      'errno 1',
    ]);
    expect(answer('clone', [CLONE_NEWUSER], ['SYS_ADMIN'])).toBe('allow');
  });

  it('has sockets of every family but those that leave the container, however they are written', () => {
    const [inet, packet, alg, vsock] = [2n, 17n, 38n, 40n];
    expect([inet, packet, alg, vsock, (1n << 32n) | vsock].map((family) => answer('socket', [family]))).toEqual([
      'allow',
      'allow',
      'errno 1',
      'errno 1',
      'errno 1',
    ]);
  });

  it('says of calls that are too new that they do not exist', () => {
    expect(answer('listns')).toBe('errno 38');
  });

  it('fits machines of both kinds', () => {
    for (const architecture of ['x86_64', 'aarch64'] as const)
      expect(
        compileProfile(DEFAULT_PROFILE, { architecture, capabilities: [], kernel: '6.1' }).length / 8,
      ).toBeLessThan(700);
  });
});
